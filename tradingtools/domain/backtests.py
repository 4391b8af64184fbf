"""The figures of a backtest of a bot: what `python -m backtest` tells and `tt` shows."""

from __future__ import annotations

import msgspec


class Result(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One run. Money is in decimals of the settle currency; the same run gives the same bytes."""

    strategy: str
    seed: int
    changes: dict[str, str]
    """Settings that a sweep has varied."""
    from_ms: int
    to_ms: int
    events: int
    """Of the market."""
    orders: int
    fills: int
    maker_fills: int
    currency: str
    result: str
    """Realised and unrealised, after fees and funding."""
    sources: dict[str, str]
    """The result by source: their sum."""
    volume: str
    max_drawdown: str
    """Largest fall below the highest result before."""
    sharpe: float | None
    """Of a year, from the changes between two points; None: the run is shorter than a day."""
    sharpe_error: float | None
    """Standard error (Lo, 2002)."""
    largest_position: str
    """Of the first instrument, on either side."""
    breaches: list[str]
    explained: dict[str, str]
    """By slot, why its quote was what it was at the end."""


class Backtests(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of a sweep in its order, or the only one."""

    runs: list[Result]
