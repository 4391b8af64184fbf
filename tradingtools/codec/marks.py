"""Marks between their wire form and the domain's book."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypedDict

from tradingtools.domain import texts
from tradingtools.domain.book import Book, BookStatus, Level, LevelColumns, Market
from tradingtools.v1 import bookfeed_service_pb2 as pb

_STATUS = {
    pb.BOOK_STATUS_FRESH: BookStatus.FRESH,
    pb.BOOK_STATUS_STALE: BookStatus.STALE,
    pb.BOOK_STATUS_CROSSED: BookStatus.CROSSED,
    pb.BOOK_STATUS_EMPTY: BookStatus.EMPTY,
    pb.BOOK_STATUS_UNSEEN: BookStatus.UNSEEN,
}

_MARKETS = 20_000
"""Kept: as many as there are books."""


class Columns(TypedDict):
    """The levels of a mark, as its fields."""

    bid_prices_micros: list[int]
    bid_sizes_micros: list[int]
    ask_prices_micros: list[int]
    ask_sizes_micros: list[int]


def columns(bids: Sequence[Level], asks: Sequence[Level] = ()) -> Columns:
    """Levels, best first, as the fields of a mark."""
    return {
        "bid_prices_micros": [price for price, _ in bids],
        "bid_sizes_micros": [size for _, size in bids],
        "ask_prices_micros": [price for price, _ in asks],
        "ask_sizes_micros": [size for _, size in asks],
    }


def bids_of(mark: pb.Mark) -> LevelColumns:
    """The bids of a mark, best first. Raises ValueError: its columns are not equally long."""
    return _levels(mark, "bid", mark.bid_prices_micros[:], mark.bid_sizes_micros[:])


def asks_of(mark: pb.Mark) -> LevelColumns:
    """The same of its asks."""
    return _levels(mark, "ask", mark.ask_prices_micros[:], mark.ask_sizes_micros[:])


def _levels(mark: pb.Mark, side: str, prices: list[int], sizes: list[int]) -> LevelColumns:
    if len(prices) != len(sizes):
        counts = f"{len(prices)} {side} prices and {len(sizes)} {side} sizes"
        raise ValueError(f"the mark of {mark.asset_id} has {counts}")
    return LevelColumns(prices, sizes)


def book_from_pb(mark: pb.Mark, *, asks: bool = True) -> Book:
    """A mark as decisions see it; an unspecified status counts as stale.

    Args:
        mark: as bookfeed tells it.
        asks: False leaves them out, for who only sells: half of the work and of the memory.

    Raises:
        ValueError: a side's columns are not equally long.
    """
    return Book(
        market=_market(mark.asset_id, mark.market.SerializeToString()),
        status=_STATUS.get(mark.status, BookStatus.STALE),
        bids=bids_of(mark),
        asks=asks_of(mark) if asks else (),
        book_ms=mark.book_ms,
        revision=mark.revision,
        received_ns=mark.received_ns,
    )


@lru_cache(maxsize=_MARKETS)
def _market(asset_id: str, written: bytes) -> Market:
    """A market is reported again with each of its marks, and seldom another one."""
    market = pb.MarketInfo.FromString(written)
    return Market(
        asset_id=asset_id,
        # Reasons of decisions name these: what could not be stored would keep back a whole record.
        condition_id=texts.cleaned(market.condition_id),
        tick_micros=market.tick_micros,
        min_size_micros=market.min_size_micros,
        fee_rate_micros=market.fee_rate_micros,
        closed=market.closed,
        payout_micros=market.payout_micros if market.HasField("payout_micros") else None,
        category=texts.cleaned(market.category) or "other",
        end_ms=market.end_ms if market.HasField("end_ms") else None,
    )
