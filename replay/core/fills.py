"""Fill an order at recorded levels, fees included. Pure. USDC and shares in micros.

What the levels do not hold within the limit is not filled, as a FAK order's rest. Rounded against
the follower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.router.core.fees import FEE_STEP_MICROS
from tradingtools.domain.book import Level
from tradingtools.domain.money import MICROS, ceil_to, notional_ceil, notional_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """The result of an order."""

    size_micros: int
    money_micros: int
    """Paid with fees, or got after them; never negative."""
    fee_micros: int
    left: tuple[Level, ...]
    """Levels that another order would meet."""


def buy(asks: Sequence[Level], size_micros: int, limit_micros: int, rate_micros: int) -> Fill:
    """Buy at the limit or better."""
    taken, left = _taken(asks, size_micros, lambda price: price <= limit_micros)
    fee = sum(_fee(price, size, rate_micros) for price, size in taken)
    paid = sum(notional_ceil(size, price) for price, size in taken)
    return Fill(
        size_micros=sum(size for _, size in taken),
        money_micros=paid + fee,
        fee_micros=fee,
        left=left,
    )


def sell(bids: Sequence[Level], size_micros: int, limit_micros: int, rate_micros: int) -> Fill:
    """Sell at the limit or better; a fee never makes the proceeds negative."""
    taken, left = _taken(bids, size_micros, lambda price: price >= limit_micros)
    fee = got = 0
    for price, size in taken:
        worth = notional_floor(size, price)
        due = min(_fee(price, size, rate_micros), worth)
        fee += due
        got += worth - due
    return Fill(
        size_micros=sum(size for _, size in taken), money_micros=got, fee_micros=fee, left=left
    )


def _taken(
    levels: Sequence[Level], size_micros: int, within: Callable[[int], bool]
) -> tuple[list[Level], tuple[Level, ...]]:
    taken: list[Level] = []
    left: list[Level] = []
    for price, size in levels:
        part = min(size, size_micros) if within(price) else 0
        if part:
            taken.append((price, part))
            size_micros -= part
        if size > part:
            left.append((price, size - part))
    return taken, tuple(left)


def _fee(price_micros: int, size_micros: int, rate_micros: int) -> int:
    exact = size_micros * rate_micros * price_micros * (MICROS - price_micros)
    return ceil_to(-(-exact // MICROS**3), FEE_STEP_MICROS)
