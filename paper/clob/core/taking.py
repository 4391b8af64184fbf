"""The reach of an order that takes: whether it would, and how many shares it gets."""

from __future__ import annotations

from paper.clob.core.markets import CENT_OF_SHARE, MarketState
from paper.clob.core.values import WHOLE, Order


def would_take(order: Order, state: MarketState) -> bool:
    """Return whether somebody stands at the order's price or better."""
    buys = order.book_side() == "buy"
    other = state.book.best("sell" if buys else "buy")
    if other is None:
        return False
    return other <= order.book_price() if buys else other >= order.book_price()


def affordable(order: Order, state: MarketState) -> int:
    """Return the shares that a taking order gets: by its budget as a buy, by its size as a sell."""
    buys = order.side == "BUY"
    budget, got = (order.budget or 0) * WHOLE, 0
    for price, size in state.ladder(order.index)[1 if buys else 0]:
        if price > order.price if buys else price < order.price:
            break
        if not buys:
            got += min(size, order.size - got)
            continue
        lots = min(size, budget // price)
        got += lots
        budget -= lots * price
        if lots < size:
            break
    return got


def fills_whole(order: Order, size: int, state: MarketState) -> bool:
    """Return whether so many shares are all of a taking order."""
    if order.side == "SELL":
        return size >= order.size
    # Whole, when not even a hundredth of a share more could be had for what is left.
    left, budget = size, (order.budget or 0) * WHOLE
    for price, free in state.ladder(order.index)[1]:
        lots = min(left, free)
        budget -= lots * price
        left -= lots
        if not left:
            return budget < price * CENT_OF_SHARE
    return False
