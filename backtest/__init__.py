"""Backtests of bots: the bot that trades, on a clock of its own, against the paper matching."""
