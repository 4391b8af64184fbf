"""An order's price and size as the two amounts that are signed, in integers.

A resting order names shares: both amounts are exact products. An order that only takes (FAK, FOK)
names, as a BUY, the USDC to spend: the venue wants whole cents there, and at most four decimals of
shares whatever the tick. Amounts, prices and ticks are micros (1e-6).
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingtools.domain.money import MICROS
from tradingtools.venues.ports import Side

TICKS = frozenset({100_000, 10_000, 5_000, 2_500, 1_000, 100})
"""Ticks that the venue has, micros of price."""
_SIZE_STEP = 10_000
_CENT = 10_000
_TAKEN_STEP = 100


class AmountsError(ValueError):
    """Price, size or tick cannot be an order; the message names which."""


@dataclass(frozen=True, slots=True)
class OrderAmounts:
    """Amounts that the maker gives and takes, micros of USDC and shares."""

    maker: int
    taker: int


def check_price(price: int, tick: int) -> None:
    """Raise AmountsError unless the price lies on the tick, one tick inside 0 and 1 at least."""
    if tick not in TICKS:
        raise AmountsError(f"tick is {tick} micros, which the venue does not have")
    if not tick <= price <= MICROS - tick or price % tick:
        raise AmountsError(f"price is not a multiple of {tick} micros inside 0 and 1")


def resting_amounts(side: Side, *, price: int, size: int, tick: int) -> OrderAmounts:
    """Return the amounts of an order that may rest; the size is cut to hundredths of a share.

    Raises:
        AmountsError: the price is off the tick, or nothing is left of the size.
    """
    check_price(price, tick)
    shares = size // _SIZE_STEP * _SIZE_STEP
    if shares <= 0:
        raise AmountsError("size is below 0.01 share")
    usdc = shares * price // MICROS  # exact: prices have four decimals, sizes two
    return OrderAmounts(usdc, shares) if side == "BUY" else OrderAmounts(shares, usdc)


def taking_amounts(side: Side, *, price: int, size: int, tick: int) -> OrderAmounts:
    """Return the amounts of an order that is filled at once or not at all.

    A BUY spends at most `size * price`, cut to cents; a SELL gives the size, cut to hundredths.
    What it takes is cut down, too: an order that rests at the price itself is met, and the limit
    moves by less than the finest tick, as long as it is about one share or more.

    Raises:
        AmountsError: the price is off the tick, or it is about less than one share.
    """
    check_price(price, tick)
    if side == "SELL":
        shares = size // _SIZE_STEP * _SIZE_STEP
        usdc = shares * price // MICROS // _TAKEN_STEP * _TAKEN_STEP
    else:
        usdc = size * price // MICROS // _CENT * _CENT
        shares = usdc * MICROS // price // _TAKEN_STEP * _TAKEN_STEP
    if shares < MICROS or not usdc:
        raise AmountsError("size is below one share")
    return OrderAmounts(usdc, shares) if side == "BUY" else OrderAmounts(shares, usdc)
