"""The market that others make: seeded, from a recording, or live. All say it by the same events."""
