"""The log of events: what happened, in one order, for everyone who listens.

Before it: the append-only tables that the other processes write. After it: readers of its stream,
webhooks, alerts. Nothing on the money path writes for it or waits for it.
"""
