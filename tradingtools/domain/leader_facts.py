"""A leader as filters judge him: a few figures of a snapshot of his statistics, and its version."""

from __future__ import annotations

import msgspec


class LeaderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A leader as a snapshot knows him. Ratios in millionths; None: not known."""

    version: str
    as_of_ms: int
    trades_30d: int = 0
    win_rate_micros: int | None = None
    profit_factor_micros: int | None = None
    drawdown_micros: int | None = None
    copyability_micros: int | None = None
