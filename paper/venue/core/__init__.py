"""The replay's decisions: pure functions of tape, seed, settings and time."""
