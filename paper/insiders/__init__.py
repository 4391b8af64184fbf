"""The paper insiders-api: the venue gateway of the executor when no real one is configured.

It speaks `docs/insiders-api.yaml`, fills orders against the book that bookfeed publishes, keeps
a journal of all it was asked, and can be told to misbehave. Before it comes the executor (and
confirm, by key); behind it only its own SQLite file. It shares no arithmetic with the engine on
purpose: what judges must not have the same faults as what is judged.
"""
