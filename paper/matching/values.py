"""The values that a book takes and returns; prices in ticks, sizes in lots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["buy", "sell"]
Kind = Literal["limit", "post_only", "ioc", "fok", "market"]
SelfTrade = Literal["cancel_maker", "cancel_taker", "cancel_both"]
"""The one of two orders of one owner that goes before they would trade with each other."""
Reason = Literal["filled", "cancelled", "post_only", "ioc", "fok", "market", "self_trade"]
"""The reason for which an order left the book."""
Cancels = Literal["behind", "proportional"]
"""The shares of a level that go first when it shrinks without a print: those behind our order (the
worst case for us), or shares from all places alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order as the book takes it."""

    order_id: int
    owner: str
    side: Side
    kind: Kind
    size: int
    price: int | None = None
    """Worst price; None: any, for a market order."""
    budget: int | None = None
    """The most that may be spent, in ticks times lots; None: the size alone bounds it."""
    self_trade: SelfTrade = "cancel_maker"


@dataclass(frozen=True, slots=True)
class Trade:
    """Two orders met at a price; the id is None on the side where the market stood."""

    price: int
    size: int
    taker_side: Side
    taker: int | None
    maker: int | None


@dataclass(frozen=True, slots=True)
class OrderRested:
    """An order waits at its price behind `ahead` lots of the market."""

    order_id: int
    left: int
    ahead: int


@dataclass(frozen=True, slots=True)
class OrderRemoved:
    """An order left the book with `left` lots unfilled."""

    order_id: int
    left: int
    reason: Reason


Event = Trade | OrderRested | OrderRemoved


def opposite(side: Side) -> Side:
    """The other side."""
    return "sell" if side == "buy" else "buy"
