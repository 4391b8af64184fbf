"""Amounts of instruments in micros of USDC, rounded against taking risk. Pure.

A rate is the worth of one unit of a currency in USDC, in parts of 10**9. An inverse contract is
worth a fixed amount of quote, so its rate is that of the quote currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tradingtools.domain.instrument import Instrument

ONE: Final = 10**9
"""The rate of USDC."""
Rates = Mapping[str, int]
_MICROS = 10**6


def par(currencies: Iterable[str]) -> dict[str, int]:
    """Return rates of currencies that count as one USDC each; USDC is one of them."""
    return dict.fromkeys([*currencies, "USDC"], ONE)


def currency_of(instrument: Instrument) -> str:
    """Return the currency whose rate says what an instrument is worth."""
    return instrument.quote if instrument.inverse else instrument.settle


def no_rate(instrument: Instrument) -> str:
    """Return why the worth of an instrument is not known, for a person."""
    return f"there is no mark of {currency_of(instrument)} in USDC"


def worth_micros(
    instrument: Instrument, price: int, size: int, rates: Rates, *, up: bool
) -> int | None:
    """Return what a size is worth at a price; None: its currency has no rate.

    Args:
        instrument: of both.
        price: in units of price.
        size: in units of size, not below zero.
        rates: by currency.
        up: round up, else down.
    """
    if not size:
        return 0
    rate = rates.get(currency_of(instrument))
    if rate is None:
        return None
    if instrument.inverse:
        above, below = instrument.contract.as_integer_ratio()
        return _scaled(size * above * rate * _MICROS, below * 10**instrument.size_digits, up)
    money = instrument.notional(price, size, up=up)
    return _scaled(money * rate * _MICROS, 10**instrument.money_digits, up)


def money_micros(instrument: Instrument, price: int, money: int, rates: Rates) -> int | None:
    """Return what money of the settle currency is worth, rounded down; None: it has no rate.

    Args:
        instrument: that settles in it.
        price: its mark: of an inverse contract, what one unit of its money is worth.
        money: in units of money; below zero: a loss.
        rates: by currency.
    """
    if not money:
        return 0
    rate = rates.get(currency_of(instrument))
    if rate is None:
        return None
    if instrument.inverse:
        digits = instrument.money_digits + instrument.price_digits
        return _scaled(money * price * rate * _MICROS, 10**digits, up=False)
    return _scaled(money * rate * _MICROS, 10**instrument.money_digits, up=False)


def _scaled(above: int, below: int, up: bool) -> int:
    below *= ONE
    return -(-above // below) if up else above // below
