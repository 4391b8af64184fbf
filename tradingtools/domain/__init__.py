"""Values and rules that more than one process needs. Pure: no I/O, no clock, no framework."""
