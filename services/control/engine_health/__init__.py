"""Watch the health of the engine's processes, for `/health/engine`."""
