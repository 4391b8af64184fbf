"""Decisions: what may be signed, and what an exchange's answer says of credentials."""
