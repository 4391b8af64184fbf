"""Pure decisions of bookfeed: books, their trust, the watchlist."""
