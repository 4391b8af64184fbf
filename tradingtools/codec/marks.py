"""Marks between their wire form and the domain's book."""

from __future__ import annotations

from tradingtools.domain.book import Book, BookStatus, Market
from tradingtools.v1 import bookfeed_service_pb2 as pb

_STATUS = {
    pb.BOOK_STATUS_FRESH: BookStatus.FRESH,
    pb.BOOK_STATUS_STALE: BookStatus.STALE,
    pb.BOOK_STATUS_CROSSED: BookStatus.CROSSED,
    pb.BOOK_STATUS_EMPTY: BookStatus.EMPTY,
}


def book_from_pb(mark: pb.Mark, *, asks: bool = True) -> Book:
    """A mark as decisions see it; an unspecified status counts as stale.

    Args:
        mark: as bookfeed tells it.
        asks: False leaves them out, for who only sells: half of the work and of the memory.
    """
    market = mark.market
    return Book(
        market=Market(
            asset_id=mark.asset_id,
            condition_id=market.condition_id,
            tick_micros=market.tick_micros,
            min_size_micros=market.min_size_micros,
            fee_rate_micros=market.fee_rate_micros,
            closed=market.closed,
            payout_micros=market.payout_micros if market.HasField("payout_micros") else None,
            category=market.category or "other",
            end_ms=market.end_ms if market.HasField("end_ms") else None,
        ),
        status=_STATUS.get(mark.status, BookStatus.STALE),
        bids=tuple((level.price_micros, level.size_micros) for level in mark.bids),
        asks=tuple((level.price_micros, level.size_micros) for level in mark.asks) if asks else (),
        book_ms=mark.book_ms,
        revision=mark.revision,
    )
