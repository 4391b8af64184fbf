"""The decisions of bookfeed: what a book is, whether it may be trusted, what is watched. Pure."""
