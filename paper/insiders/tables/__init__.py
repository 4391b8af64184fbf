"""The rows of the store: functions of the connection of one transaction.

The exchange and the two ports compose them, so that cash, shares, the fill that moved them and
the journal's note of it change together or not at all.
"""
