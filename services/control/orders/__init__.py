"""One order: its transitions, and the instants of its hops."""
