"""What brings a subscription to what the leader's positions imply."""
