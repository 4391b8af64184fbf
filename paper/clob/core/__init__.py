"""Decisions of the paper CLOB: no I/O, no clock, no framework."""
