"""Conversions between the domain's values and their wire forms. No decisions, no I/O."""
