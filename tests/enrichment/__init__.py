"""The process that computes documents about leaders and markets, and what it publishes."""
