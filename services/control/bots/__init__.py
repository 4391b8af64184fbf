"""Bots as people make, want and see them; engines follow (`services/bots`)."""
