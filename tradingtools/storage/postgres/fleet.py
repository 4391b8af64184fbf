"""Queries about all bots at once, for metrics and for who calls a person."""

from __future__ import annotations

from pathlib import Path

from tradingtools.storage.postgres.sql import load_queries

QUERIES = load_queries(Path(__file__).parent / "fleet.sql")
"""``figures``: rows of ``name``, labels ``one`` and ``other`` and ``value``; what there is nothing
of has no row. ``unowned``: wallets whose bots need an engine and have none. ``limited``: tenants
that have limits of many bots."""
