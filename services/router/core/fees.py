"""The highest cost of an entry, fees included, and the size that a budget buys.

The venue charges takers C x rate x p x (1 - p) USDC for C shares at price p, rounded to five
decimals (Polymarket's fee schedule). A buy fills at its limit or better, so notional is dearest at
the limit and the fee at the price in (0, limit] that is nearest to a half. Before it comes the
limit price, after it the reservation of a claim.
"""

from __future__ import annotations

from tradingtools.domain.money import MICROS, ceil_to, floor_to, notional_ceil

SIZE_STEP_MICROS = 10_000
"""Sizes have two decimals at every tick (CLOB order rules)."""
FEE_STEP_MICROS = 10
"""Five decimals."""


def fee_ceiling(size_micros: int, limit_micros: int, rate_micros: int) -> int:
    """Return the highest fee of a buy up to the limit. USDC micros."""
    price = min(limit_micros, MICROS // 2)
    exact = size_micros * rate_micros * price * (MICROS - price)
    return ceil_to(-(-exact // MICROS**3), FEE_STEP_MICROS)


def reserved_money(size_micros: int, limit_micros: int, rate_micros: int) -> int:
    """Return what an entry reserves: its cost at the limit, rounded up, and the highest fee."""
    return notional_ceil(size_micros, limit_micros) + fee_ceiling(
        size_micros, limit_micros, rate_micros
    )


def size_within(money_micros: int, limit_micros: int, rate_micros: int) -> int:
    """Return the largest size, in whole steps, whose reservation fits a budget; 0: none does."""
    if money_micros <= 0:
        return 0
    price = min(limit_micros, MICROS // 2)
    # USDC per share in 1e-18, exact: the size below is at most a few steps too large, by the
    # rounding of the fee and of the notional.
    unit = limit_micros * MICROS**2 + rate_micros * price * (MICROS - price)
    size = floor_to(money_micros * MICROS**3 // unit, SIZE_STEP_MICROS)
    while size > 0 and reserved_money(size, limit_micros, rate_micros) > money_micros:
        size -= SIZE_STEP_MICROS
    return size
