"""Events of a feed, and their effect on the exchange."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from paper.matching.values import Side
from paper.okx.core.exchange import Exchange
from paper.okx.core.world import Funding

Levels = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class BookEvent:
    """The whole book: (price, size) in ticks and lots."""

    inst_id: str
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class LevelEvent:
    """The size at a price, 0 for none."""

    inst_id: str
    side: Side
    price: int
    lots: int


@dataclass(frozen=True, slots=True)
class TradeEvent:
    """A trade; `side` is its taker's."""

    inst_id: str
    side: Side
    price: int
    lots: int


@dataclass(frozen=True, slots=True)
class MarkEvent:
    """A mark price in ticks."""

    inst_id: str
    price: int


@dataclass(frozen=True, slots=True)
class IndexEvent:
    """An index price in 10^-18."""

    name: str
    price: int


@dataclass(frozen=True, slots=True)
class FundingEvent:
    """A swap's rates (10^-9) and its next instant."""

    inst_id: str
    rate: int
    next_rate: int
    at_ms: int
    interval_ms: int


FeedEvent = BookEvent | LevelEvent | TradeEvent | MarkEvent | IndexEvent | FundingEvent


def take(exchange: Exchange, event: FeedEvent, now_ms: int) -> None:
    """Let the exchange know what a feed said; what is not listed or has ended is left out."""
    world = exchange.world
    if isinstance(event, IndexEvent):
        world.indexes[event.name] = event.price
        return
    of = world.instruments.get(event.inst_id)
    if of is None or of.state == "expired":
        return
    match event:
        case BookEvent(inst_id, bids, asks):
            exchange.market_book(inst_id, bids, asks, now_ms)
        case LevelEvent(inst_id, side, price, lots):
            exchange.market_level(inst_id, side, price, lots, now_ms)
        case TradeEvent(inst_id, side, price, lots):
            exchange.market_print(inst_id, side, price, lots, now_ms)
        case MarkEvent(inst_id, price):
            exchange.mark(inst_id, price, now_ms)
        case FundingEvent():
            _fund(exchange, event)


def _fund(exchange: Exchange, reported: FundingEvent) -> None:
    known = exchange.world.funding.get(reported.inst_id)
    settled = deque[tuple[int, int]](maxlen=100) if known is None else known.settled
    exchange.world.funding[reported.inst_id] = Funding(
        rate=reported.rate,
        next_rate=reported.next_rate,
        at_ms=reported.at_ms if known is None else max(reported.at_ms, known.at_ms),
        interval_ms=reported.interval_ms,
        settled=settled,
    )
