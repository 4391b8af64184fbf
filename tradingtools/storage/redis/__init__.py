"""The Redis side: wake-ups, the log of leader trades, marks. Nothing here decides about money."""
