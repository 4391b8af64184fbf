"""Decisions of the console."""
