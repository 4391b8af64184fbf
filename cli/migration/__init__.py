"""Bring subscriptions of an earlier engine over: read, plan, apply, verify, take back."""
