"""Rows of the analytical store, out of events, claims and books. Pure.

Before it: the log of events and the router's journal, as they are read. After it: `recorder`, which
writes them; a row that comes twice has the same key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tradingtools.domain.book import Book
from tradingtools.domain.money import MICROS, parse_exact, parse_rounded

ABSENT = -1
"""A price that is not there."""
LEVELS = 25
"""Of a book's asks that are kept: what a thousand dollars look at."""


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the log."""

    number: int
    id: str
    type: str
    subject: str
    at_ms: int
    traceparent: str
    data: str


class LeaderTradeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a followed leader's transaction."""

    leader: str
    leader_tx: str
    asset_id: str
    side: str
    size_micros: int
    price_micros: int
    count: int
    condition_id: str
    traded_ms: int
    event_number: int


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of an order."""

    event_number: int
    at_ms: int
    order_id: str
    trade_id: str
    purpose: str
    subscription_id: str
    follower_proxy: str
    leader: str
    leader_tx: str
    condition_id: str
    asset_id: str
    side: str
    size_micros: int
    notional_micros: int
    fee_micros: int
    leader_price_micros: int | None = None
    slippage_micros: int | None = None
    reversed: int = 0


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of the router."""

    journal_seq: int
    leader_tx: str
    leader: str
    asset_id: str
    side: str
    subscription_id: str
    condition_id: str
    follower_proxy: str
    copied: int
    reason: str
    detail: str
    leader_size_micros: int
    leader_notional_micros: int
    ordered_size_micros: int
    frozen: str
    decided_ms: int


class MarkRow(msgspec.Struct, frozen=True, kw_only=True):
    """The worth of an outcome at an instant."""

    asset_id: str
    at_ms: int
    bid_micros: int
    ask_micros: int
    mark_micros: int
    fresh: int


class LeaderBookRow(msgspec.Struct, frozen=True, kw_only=True):
    """The asks of an outcome some seconds after a leader has bought it."""

    leader: str
    leader_tx: str
    asset_id: str
    delay_seconds: int
    at_ms: int
    asks: str


class _Follower(msgspec.Struct, frozen=True, rename="camel"):
    follower_proxy: str


class _Fill(msgspec.Struct, frozen=True, rename="camel"):
    trade_id: str
    size: str
    notional: str
    fee: str


class _Order(msgspec.Struct, frozen=True, rename="camel"):
    order_id: str
    purpose: str
    follower: _Follower
    condition_id: str
    asset_id: str
    side: str
    subscription_id: str = ""
    leader: str = ""
    leader_tx: str = ""
    fill: _Fill | None = None


class _LeaderTrade(msgspec.Struct, frozen=True, rename="camel"):
    leader: str
    leader_tx: str
    condition_id: str
    asset_id: str
    side: str
    size: str
    price: str
    count: int
    traded_ms: int


_ORDER = msgspec.json.Decoder(_Order)
_TRADE = msgspec.json.Decoder(_LeaderTrade)
FILLS = frozenset({"order.partially_filled", "order.filled", "order.fill_reversed"})
TRADES = "leader.traded"


def leader_trade(event: EventRow) -> LeaderTradeRow:
    """Return the row of a ``leader.traded``. Raises msgspec.DecodeError, AmountError."""
    payload = _TRADE.decode(event.data)
    return LeaderTradeRow(
        leader=payload.leader,
        leader_tx=payload.leader_tx,
        asset_id=payload.asset_id,
        side=payload.side,
        size_micros=parse_exact(payload.size),
        price_micros=parse_rounded(payload.price),
        count=payload.count,
        condition_id=payload.condition_id,
        traded_ms=payload.traded_ms,
        event_number=event.number,
    )


def fill(event: EventRow) -> FillRow | None:
    """Return the row of an event of `FILLS`; None: it names no trade.

    Raises:
        msgspec.DecodeError, AmountError: it is no such event.
    """
    payload = _ORDER.decode(event.data)
    if payload.fill is None:
        return None
    return FillRow(
        event_number=event.number,
        at_ms=event.at_ms,
        order_id=payload.order_id,
        trade_id=payload.fill.trade_id,
        purpose=payload.purpose,
        subscription_id=payload.subscription_id,
        follower_proxy=payload.follower.follower_proxy,
        leader=payload.leader,
        leader_tx=payload.leader_tx,
        condition_id=payload.condition_id,
        asset_id=payload.asset_id,
        side=payload.side,
        size_micros=parse_exact(payload.fill.size),
        notional_micros=parse_exact(payload.fill.notional),
        fee_micros=parse_exact(payload.fill.fee),
        reversed=int(event.type == "order.fill_reversed"),
    )


def with_slippage(row: FillRow, known: Iterable[tuple[int, int, int]]) -> FillRow:
    """Return a fill beside the leader's price: how many USDC worse it is, rounded against it.

    Args:
        row: of a copy.
        known: size, price and count of the rows of the leader's trade; none: it stays absent.
    """
    rows = list(known)
    size = sum(size * count for size, _, count in rows)
    if not size:
        return row
    paid = sum(size * price * count for size, price, count in rows)
    # Of a size as the follower's, at the leader's average price.
    theirs, rest = divmod(paid * row.size_micros, size * MICROS)
    buys = row.side == "BUY"
    if not buys:
        theirs += bool(rest)
    worse = row.notional_micros - theirs if buys else theirs - row.notional_micros
    return msgspec.structs.replace(row, leader_price_micros=paid // size, slippage_micros=worse)


def decisions(seq: int, at: datetime, payload: Mapping[str, Any]) -> list[DecisionRow]:
    """Return the decisions of a claim's record."""
    return [
        DecisionRow(
            journal_seq=seq,
            leader_tx=one["leader_tx"],
            leader=one["leader"],
            asset_id=one["asset_id"],
            side=one["side"],
            subscription_id=one["subscription_id"],
            condition_id=one["condition_id"],
            follower_proxy=one["follower_proxy"],
            copied=int(one["copied"]),
            reason=one["reason"],
            detail=one["detail"],
            leader_size_micros=one["leader_size_micros"],
            leader_notional_micros=one["leader_notional_micros"],
            ordered_size_micros=one["ordered_size_micros"],
            frozen=msgspec.json.encode(one["frozen"]).decode(),
            decided_ms=int(at.timestamp() * 1000),
        )
        for one in payload.get("decisions", ())
    ]


def mark(book: Book, at_ms: int) -> MarkRow:
    """Return what a book says of its outcome: the middle of its best prices, or its payout."""
    bid = book.bids[0][0] if book.bids else ABSENT
    ask = book.asks[0][0] if book.asks else ABSENT
    worth = (bid + ask) // 2 if min(bid, ask) >= 0 else ABSENT
    payout = book.market.payout_micros
    return MarkRow(
        asset_id=book.market.asset_id,
        at_ms=at_ms,
        bid_micros=bid,
        ask_micros=ask,
        mark_micros=worth if payout is None else payout,
        fresh=int(book.usable),
    )


def leader_book(row: LeaderTradeRow, book: Book, delay_seconds: int, at_ms: int) -> LeaderBookRow:
    """Return the asks that a follower has found some seconds after a leader's buy."""
    levels = list(book.asks[:LEVELS])
    return LeaderBookRow(
        leader=row.leader,
        leader_tx=row.leader_tx,
        asset_id=row.asset_id,
        delay_seconds=delay_seconds,
        at_ms=at_ms,
        asks="\n".join(f"{price} {size}" for price, size in levels),
    )
