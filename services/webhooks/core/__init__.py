"""Decisions of webhooks: pure functions on frozen values."""
