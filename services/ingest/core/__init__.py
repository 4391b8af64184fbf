"""The decisions of ingest: which frame matters, what is new, what a leader held. Pure."""
