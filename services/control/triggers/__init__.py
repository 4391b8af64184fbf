"""Take-profit and stop-loss of lots."""
