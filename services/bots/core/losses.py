"""The result of a bot over time, and the closing of all that it holds. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from services.bots.core import risk
from services.bots.core.market import Market
from services.bots.core.risk import CONTRACTS, Equity, Exposure
from services.bots.core.strategy import Quote
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import RestingTime

DAY_MS = 86_400_000


def measured(
    before: Equity | None, exposure: Exposure, *, fresh: Collection[str], now_ms: int
) -> tuple[Equity, int] | None:
    """Return the result with its start of day and peak, and the part of it that is unrealised.

    Args:
        before: as measured last; None: it is counted from now.
        exposure: as of now.
        fresh: instruments whose marks may be believed.
        now_ms: milliseconds since the epoch.

    Returns:
        None when a mark of something held is stale: doubtful ones are no ground to stop for.
    """
    for instrument_id, held in exposure.holdings.items():
        if held.size and instrument_id not in fresh:
            return None
    result, open_gain = risk.result(exposure)
    day = now_ms // DAY_MS
    if before is None:
        before = Equity(result=result, day_start=result, peak=result, day=day)
    start = result if day != before.day else before.day_start
    peak = max(before.peak, result)
    return Equity(result=result, day_start=start, peak=peak, day=day), open_gain


def flattening(
    exposure: Exposure, market: Market, *, opposed: Collection[str] = ()
) -> Iterator[Quote]:
    """Return a quote for each holding that closes it, at the third best price at worst.

    What another order may still close is left to it, and what is less than the least order of its
    instrument stays.

    Args:
        exposure: as of now.
        market: of the bot.
        opposed: instruments in which the account's position is not the bot's alone.
    """
    for instrument_id, held in exposure.holdings.items():
        side: Side = "SELL" if held.size > 0 else "BUY"
        book = market.books.get(instrument_id)
        levels = (book.bids if held.size > 0 else book.asks) if book else ()
        instrument = market.instruments[instrument_id]
        closing = risk.reserved(exposure, instrument_id, side)
        size = instrument.size_in_lots(max(abs(held.size) - closing, 0))
        # Less than no coins cannot be: what was closed twice is put right by the comparison of
        # positions, never bought.
        held_really = held.size > 0 or instrument.kind in CONTRACTS
        if size and levels and held_really:
            yield Quote(
                slot=f"flatten:{instrument_id}",
                instrument_id=instrument_id,
                side=side,
                price=levels[min(len(levels), 3) - 1][0],
                size=size,
                time_in_force=RestingTime.IOC,
                # What cannot be sold short knows no such order; and where others hold the other
                # side, the exchange would cut it to what the account holds.
                reduce_only=instrument.kind in CONTRACTS and instrument_id not in opposed,
                why="a loss has reached its limit",
            )
