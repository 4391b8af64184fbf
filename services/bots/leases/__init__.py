"""Leases of engines' names and of wallets, in PostgreSQL."""
