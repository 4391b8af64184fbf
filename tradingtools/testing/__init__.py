"""In-memory stand-ins for the adapters, so that the real services run in one process under test."""
