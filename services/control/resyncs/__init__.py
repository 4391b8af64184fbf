"""Bring subscriptions to what the leader's positions imply."""
