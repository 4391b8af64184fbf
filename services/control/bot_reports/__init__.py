"""Reports on bots: positions, profit over time, events, reasons, the portfolio; strategies."""
