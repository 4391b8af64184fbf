"""The deterministic simulation: the real services in one process, under a clock and a scheduler.

`python -m tests.simulation` runs seeds. A seed decides everything that happens: what leaders do,
which request is lost, who dies when, and which of two processes goes first. Before it: the services
and `tradingtools.testing.memory_database`. After it: the invariants of `launcher/core`.
"""
