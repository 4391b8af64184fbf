"""The stores: PostgreSQL decides, Redis wakes up."""
