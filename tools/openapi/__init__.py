"""Writes ``docs/openapi.json``, the description of REST, from the protos and their comments."""
