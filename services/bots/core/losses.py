"""The result of a bot over time, and the closing of all that it holds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.bots.core import risk
from services.bots.core.holding import Holding
from services.bots.core.market import Market
from services.bots.core.risk import CONTRACTS, Equity, Exposure
from services.bots.core.strategy import Quote
from tradingtools.venues.trading import RestingTime

DAY_MS = 86_400_000


def measured(
    before: Equity | None, exposure: Exposure, *, mark_age_ms: int, now_ms: int
) -> tuple[Equity, int] | None:
    """Return the result with its start of day and peak, and the part of it that is unrealised.

    Args:
        before: as measured last; None: it is counted from now.
        exposure: as of now.
        mark_age_ms: an older mark is stale.
        now_ms: milliseconds since the epoch.

    Returns:
        None when a mark of something held is stale: doubtful ones are no ground to stop for.
    """
    for instrument_id, held in exposure.holdings.items():
        mark = exposure.marks.get(instrument_id)
        if held.size and (mark is None or now_ms - mark.at_ms > mark_age_ms):
            return None
    result, open_gain = risk.result(exposure)
    day = now_ms // DAY_MS
    if before is None:
        before = Equity(result=result, day_start=result, peak=result, day=day)
    start = result if day != before.day else before.day_start
    peak = max(before.peak, result)
    return Equity(result=result, day_start=start, peak=peak, day=day), open_gain


def flattening(holdings: Mapping[str, Holding], market: Market) -> Iterator[Quote]:
    """Return a quote for each holding that closes it, at the third best price at worst.

    What is less than the least order of its instrument stays.
    """
    for instrument_id, held in holdings.items():
        book = market.books.get(instrument_id)
        levels = (book.bids if held.size > 0 else book.asks) if book else ()
        instrument = market.instruments[instrument_id]
        size = instrument.size_in_lots(abs(held.size))
        if size and levels:
            yield Quote(
                slot=f"flatten:{instrument_id}",
                instrument_id=instrument_id,
                side="SELL" if held.size > 0 else "BUY",
                price=levels[min(len(levels), 3) - 1][0],
                size=size,
                time_in_force=RestingTime.IOC,
                # What cannot be sold short knows no such order.
                reduce_only=instrument.kind in CONTRACTS,
                why="a loss has reached its limit",
            )
