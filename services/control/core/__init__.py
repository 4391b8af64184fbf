"""Decisions of the control process. Pure: no I/O, no clock, no framework."""
