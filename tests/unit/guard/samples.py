"""Books and triggers for the guard's unit tests."""

from __future__ import annotations

from services.guard.core.trigger import Trigger
from services.guard.worker import Guard
from tests.unit.samples import as_reported
from tradingtools.domain.book import Book, BookStatus, Level, Market
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import TriggerType

NOW_MS = 1_790_000_000_000


def book_of(
    bids: tuple[Level, ...],
    *,
    tick: int = 10_000,
    minimum: int = 5_000_000,
    status: BookStatus = BookStatus.FRESH,
    payout: int | None = None,
) -> Book:
    market = Market(
        asset_id="1",
        condition_id="0x" + "c" * 64,
        tick_micros=tick,
        min_size_micros=minimum,
        fee_rate_micros=0,
        closed=payout is not None,
        payout_micros=payout,
    )
    return Book(market=market, status=status, bids=as_reported(bids), asks=(), book_ms=0)


def trigger_of(
    kind: TriggerType = TriggerType.STOP_LOSS,
    price: int = 500_000,
    size: int | None = None,
    status: TriggerStatus = TriggerStatus.ARMED,
) -> Trigger:
    return Trigger(
        id="t",
        follower_proxy="0x" + "d" * 40,
        asset_id="1",
        origin="s",
        type=kind,
        price_micros=price,
        size_micros=size,
        status=status,
        version=1,
    )


async def follow_peaks(guard: Guard) -> None:
    """The peaks that were seen are recorded and judged, and those that are seen thereby."""
    for _ in range(3):
        await guard._trailing_stops.record()
        await guard._trailing_stops.judge()
