"""The analytical store: what is computed from, beside the engine. Nothing here decides an order."""
