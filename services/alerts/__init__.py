"""Calls a person: judges rules over the log of events and the processes' health, and tells targets.

Before it: `events`, whose log it follows, the processes that it asks for health, and the database.
After it: Slack, mail and whatever else a target names. Nothing of the engine waits for it.
"""
