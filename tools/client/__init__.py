"""Writes the generated half of ``tradingtools_client`` from ``docs/openapi.json`` alone."""
