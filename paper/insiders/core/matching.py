"""Matching of one order against the real book, minus what earlier paper orders took from it.

Paper orders do not move the real book, so without a memory every follower would be filled by the
same shares. The exchange hands in the book and that memory and writes down what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paper.insiders.core.amounts import ONE, ceil_div
from paper.insiders.core.fees import fee_rate, highest_fee, taker_fee
from paper.insiders.core.model import Fill, Level, MarketBook, OrderRequest, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Shares (micros) taken from a level while it looked like `level`."""

    level: Level
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The fills of an order, one per level, and the memory of its side of the book after it."""

    fills: tuple[Fill, ...]
    taken: dict[int, Take]


def opposite_levels(book: MarketBook, side: Side) -> tuple[Level, ...]:
    """The levels an order of that side takes from, best first."""
    return book.asks if side == "BUY" else book.bids


def still_taken(levels: tuple[Level, ...], taken: Mapping[int, Take]) -> dict[int, Take]:
    """The part of the memory that still holds.

    A level that is gone, has another size, or has changed later than when it was taken from shows
    new shares: what was taken from it is already part of the venue's own history.
    """
    return {
        level.price: known
        for level in levels
        if (known := taken.get(level.price)) is not None
        and known.level.size == level.size
        and known.level.changed_ms >= level.changed_ms
    }


def reservation(request: OrderRequest, book: MarketBook) -> int:
    """Micros an order needs before it may be accepted: USDC for a buy, shares for a sell."""
    if request.side == "SELL":
        return request.size
    notional = ceil_div(request.size * request.limit_price, ONE)
    fee = highest_fee(size=request.size, limit_price=request.limit_price, rate=fee_rate(book))
    return notional + fee


def movement(side: Side, fill: Fill) -> tuple[int, int]:
    """Return what a fill does to its wallet: micros of cash and of shares that come in (or go
    out)."""
    if side == "BUY":
        return -fill.notional - fill.fee, fill.size
    return fill.notional - fill.fee, -fill.size


def match(
    request: OrderRequest, book: MarketBook, taken: Mapping[int, Take], *, budget: int
) -> Match:
    """Fill an order as far as book, limit and budget allow.

    `budget` is in micros: USDC a buy may spend, shares a sell may give. It cannot bind beyond the
    rounding of fees per level, because the reservation was checked; it makes sure that cash never
    falls below zero. A FOK that cannot be filled whole gets nothing.
    """
    levels = opposite_levels(book, request.side)
    memory = still_taken(levels, taken)
    fills: list[Fill] = []
    after = dict(memory)
    desired = request.size if request.side == "BUY" else min(request.size, budget)
    for level in levels:
        if desired == 0 or not _within_limit(request, level.price):
            break
        already = memory[level.price].size if level.price in memory else 0
        size = min(desired, level.size - already)
        if size <= 0:
            continue
        fill = _fill(request.side, size, level.price, fee_rate(book))
        if request.side == "BUY":
            budget -= fill.notional + fill.fee
            if budget < 0:
                break
        fills.append(fill)
        after[level.price] = Take(level=level, size=already + size)
        desired -= size
    filled = sum(fill.size for fill in fills)
    if request.order_type == "FOK" and filled < request.size:
        return Match(fills=(), taken=memory)
    return Match(fills=tuple(fills), taken=after)


def _within_limit(request: OrderRequest, price: int) -> bool:
    if request.side == "BUY":
        return price <= request.limit_price
    return price >= request.limit_price


def _fill(side: Side, size: int, price: int, rate: int) -> Fill:
    fee = taker_fee(size=size, price=price, rate=rate)
    if side == "BUY":
        return Fill(size=size, price=price, notional=ceil_div(size * price, ONE), fee=fee)
    notional = size * price // ONE
    # A fee is taken from the proceeds; rounding it up must not make a sale of dust cost money.
    return Fill(size=size, price=price, notional=notional, fee=min(fee, notional))
