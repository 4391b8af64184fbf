"""Polymarket's public feeds and REST: decoding (pure) and the sockets and clients that carry it."""
