"""Enrichment: keeps the analytical store, and computes documents of leaders and markets from it."""
