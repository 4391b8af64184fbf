"""Judge whether a leader's record is evidence: a gate, since the size of a score predicts nothing.

Pure. A leader with a gap is shown, and comes after all who have none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from services.enrichment.core.history import History
from services.enrichment.core.trades import Trade
from services.enrichment.core.values import DAY_MS, EvidenceGap

FEWEST_RESOLVED = 30
IDLE_MS = 30 * DAY_MS
_QUOTES_A_DAY = 50
_HOUR_MS = 3_600_000


def gaps(trades: Sequence[Trade], past: History, as_of_ms: int) -> tuple[EvidenceGap, ...]:
    """Return why a record is no evidence; empty: it is."""
    last_ms = max((trade.at_ms for trade in trades), default=0)
    got = past.unknown_cost_micros + sum(closing.proceeds_micros for closing in past.closings)
    found = {
        EvidenceGap.FEW_RESOLVED: len(past.results) < FEWEST_RESOLVED,
        EvidenceGap.MARKET_MAKER: is_market_maker(trades, past),
        EvidenceGap.INACTIVE: last_ms <= as_of_ms - IDLE_MS,
        EvidenceGap.UNKNOWN_COST: 5 * past.unknown_cost_micros > got,
    }
    return tuple(gap for gap, there in found.items() if there)


def is_market_maker(trades: Sequence[Trade], past: History) -> bool:
    """Return whether he trades often, and mostly quotes: as a maker, on both sides, or in and out
    within the hour."""
    days = {trade.at_ms // DAY_MS for trade in trades}
    if not days or len(trades) < _QUOTES_A_DAY * len(days):
        return False
    maker = sum(trade.maker_micros for trade in trades)
    taker = sum(trade.taker_micros for trade in trades)
    closed = sum(closing.size_micros for closing in past.closings)
    quick = sum(
        size for closing in past.closings for held, size in closing.held_ms if held < _HOUR_MS
    )
    return maker > 4 * taker or _both_sides(trades) or (closed > 0 and 2 * quick > closed)


def _both_sides(trades: Sequence[Trade]) -> bool:
    """Return whether more than half of what he bought has its counterpart in another outcome."""
    bought: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for trade in trades:
        if trade.side == "BUY":
            bought[trade.condition_id][trade.asset_id] += trade.size_micros
    whole = sum(size for outcomes in bought.values() for size in outcomes.values())
    paired = sum(
        len(outcomes) * min(outcomes.values()) for outcomes in bought.values() if len(outcomes) > 1
    )
    return whole > 0 and 2 * paired > whole
