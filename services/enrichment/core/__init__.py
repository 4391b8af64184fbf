"""Compute documents of leaders and markets from frozen values. Pure."""
