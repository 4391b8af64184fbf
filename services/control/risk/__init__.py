"""Risk of many bots as people set and see it: limits, usage, breaches, the kill switch."""
