"""Budgets of followers' wallets."""
