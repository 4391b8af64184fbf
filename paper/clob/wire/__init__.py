"""Rows and frames as the venue writes them."""
