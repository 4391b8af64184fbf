"""Rows of the limits of many bots, and of what is used of them, for engine and REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tradingtools.domain.portfolio_risk import RiskScope, ScopeLimit, ScopeLimits
from tradingtools.storage.postgres.sql import load_queries

QUERIES = load_queries(Path(__file__).parent / "risk_ledger.sql")
"""``limits``, ``shares`` and ``results`` of a ``tenant``; ``copies`` of all. Rows of shares and
results have the names of their values in the domain."""


def limits_of(row: dict[str, Any]) -> ScopeLimits:
    """Return a row of ``limits`` as it is judged by."""
    return ScopeLimits(
        scope=RiskScope(row["scope"]),
        subject=row["subject"],
        values={ScopeLimit(name): value for name, value in row["limits"].items()},
        instruments=frozenset(row["instruments"]),
        day_start_micros=row["day_start_micros"],
        peak_micros=row["peak_micros"],
    )
