"""Polymarket on loopback, played from a recorded tape."""
