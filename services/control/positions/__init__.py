"""What subscriptions hold, what it is worth, and how far it is from what the leader holds."""
