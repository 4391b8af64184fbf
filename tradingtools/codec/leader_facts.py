"""Read what filters judge a leader by out of a document of his statistics."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.money import MAX_MICROS, MICROS
from tradingtools.v1 import enrichment_pb2 as pb

_RECENT, _LONG = 30, 90
"""Days."""


def facts_of(statistics: pb.LeaderStatistics) -> LeaderFacts:
    """Return what filters judge of a document; ratios are rounded against copying."""
    windows = {window.days: window for window in statistics.windows}
    recent, long = windows.get(_RECENT), windows.get(_LONG)
    facts = LeaderFacts(
        version=statistics.version,
        as_of_ms=statistics.as_of_ms,
        trades_30d=recent.trades if recent else 0,
        copyability_micros=floor(_micros(statistics.score))
        if statistics.HasField("score")
        else None,
    )
    if long is None:
        return facts
    factor: int | None = None
    if long.HasField("profit_factor"):
        factor = min(floor(_micros(long.profit_factor)), MAX_MICROS)
    elif long.won:
        # Without a loss any factor is reached.
        factor = MAX_MICROS
    return LeaderFacts(
        version=facts.version,
        as_of_ms=facts.as_of_ms,
        trades_30d=facts.trades_30d,
        win_rate_micros=floor(_micros(long.win_rate_low))
        if long.HasField("win_rate_low")
        else None,
        profit_factor_micros=factor,
        drawdown_micros=(
            ceil(_micros(long.largest_drawdown)) if long.HasField("largest_drawdown") else None
        ),
        copyability_micros=facts.copyability_micros,
    )


def _micros(ratio: float) -> Fraction:
    return Fraction(ratio) * MICROS
