"""Decide which alerts go to whom, and when: pure, with the time as an argument."""
