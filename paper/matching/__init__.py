"""Matching by price and time of our orders against a market that others make.

The book knows no clock, no money and no account: prices and sizes are whole numbers of the
instrument's tick and lot. A paper exchange drives it with a wall clock, a backtest with its own.
"""
