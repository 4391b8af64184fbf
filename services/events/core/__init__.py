"""Derive events from rows of source tables, and up to where the log can be made. Pure."""
