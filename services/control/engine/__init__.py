"""How the processes of the engine are, for `/health/engine`."""
