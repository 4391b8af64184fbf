"""The decisions of the paper insiders-api: pure functions, no I/O, no clock, no randomness."""
