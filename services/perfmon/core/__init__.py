"""Decisions of perfmon: results, windows, and when a rule acts. Pure."""
