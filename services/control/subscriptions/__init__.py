"""Subscriptions, their settings, statistics, fills and decisions."""
