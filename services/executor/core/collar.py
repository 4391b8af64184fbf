"""Check that an order's limit is not too far beyond the best price of a fresh book. Pure.

A limit far off the market is a mistake of whoever made it: a buy of it pays, and a sell of it
takes, whatever a thin book has.
"""

from __future__ import annotations

from typing import NamedTuple

from tradingtools.domain.leader_trade import Side
from tradingtools.domain.money import to_text
from tradingtools.domain.order import Order


class Quote(NamedTuple):
    """Best prices of a fresh book, USDC micros a share; None: that side is empty."""

    bid_micros: int | None
    ask_micros: int | None


def beyond(order: Order, quote: Quote, collar_micros: int) -> str | None:
    """Say how an order's limit is beyond the collar, with the numbers; None: it is not."""
    limit = order.limit_micros
    if order.side is Side.SELL:
        bid = quote.bid_micros
        if bid is None or limit >= bid - collar_micros:
            return None
        return f"limit {to_text(limit)} < best bid {to_text(bid)} - {to_text(collar_micros)}"
    ask = quote.ask_micros
    if ask is None or limit <= ask + collar_micros:
        return None
    return f"limit {to_text(limit)} > best ask {to_text(ask)} + {to_text(collar_micros)}"
