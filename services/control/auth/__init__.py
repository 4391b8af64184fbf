"""Authenticate callers: tokens, permissions, rate limits, and the record of refusals."""
