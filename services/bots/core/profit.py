"""Positions and gains of a bot as people read them: by instrument, by currency, by source. Pure.

Amounts of one currency are summed, of several never. A mark is used whatever its age, and its age
is told with it; what has no mark has no unrealised gain, which is not a gain of zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.bots.core.holding import Holding, unrealised
from services.bots.core.risk import MarkPoint
from tradingtools.domain.instrument import Instrument, units_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One holding at its mark; amounts are decimal texts, None: there is no mark."""

    size: str
    cost: str
    realised: str
    fees: str
    funding: str
    currency: str
    average_price: str | None = None
    mark: str | None = None
    mark_ms: int | None = None
    """When the mark was told, milliseconds since the epoch."""
    notional: str | None = None
    unrealised: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlPoint:
    """The gains in one currency up to one instant; amounts are decimal texts."""

    currency: str
    realised: str
    unrealised: str | None
    """None: something is held that has no mark."""
    fees: str
    funding: str
    volume: str
    mark_age_ms: int | None
    """Of the oldest mark of what is held; None: nothing is, or has one."""
    sources: Mapping[str, str]


def positions(
    holdings: Mapping[str, Holding],
    instruments: Mapping[str, Instrument],
    marks: Mapping[str, MarkPoint],
) -> dict[str, Position]:
    """Return the positions by instrument."""
    return {
        key: _position(held, instruments[key], _mark(instruments[key], marks))
        for key, held in holdings.items()
        if key in instruments
    }


def _mark(one: Instrument, marks: Mapping[str, MarkPoint]) -> MarkPoint | None:
    mark = marks.get(one.id)
    # An inverse contract has no worth at a price of zero.
    return None if mark is not None and one.inverse and mark.price <= 0 else mark


def _position(held: Holding, one: Instrument, mark: MarkPoint | None) -> Position:
    found = {
        name: one.money_text(getattr(held, name))
        for name in ("cost", "realised", "fees", "funding")
    }
    price = notional = gain = average = None
    if mark is not None:
        price = one.price_text(mark.price)
        notional = one.money_text(_worth(held, one, mark.price))
        gain = one.money_text(unrealised(held, one, mark.price))
    if held.size and held.cost:
        average = one.price_text(_average(held, one))
    return Position(
        size=one.size_text(held.size), currency=one.settle, average_price=average, mark=price,
        mark_ms=None if mark is None else mark.at_ms, notional=notional, unrealised=gain, **found,
    )  # fmt: skip


def _worth(held: Holding, one: Instrument, price: int) -> int:
    worth = one.notional(price, abs(held.size), up=True)
    return worth if held.size > 0 else -worth


def _average(held: Holding, one: Instrument) -> int:
    """Return the price at which the size is worth its cost, to the nearest unit below."""
    large = 10**18
    if one.inverse:
        return one.notional(1, abs(held.size), up=False) // held.cost
    worth = one.notional(large, abs(held.size), up=True)
    return held.cost * large // worth if worth else 0


def pnl(
    holdings: Mapping[str, Holding],
    instruments: Mapping[str, Instrument],
    marks: Mapping[str, MarkPoint],
    sources: Mapping[str, int],
    *,
    now_ms: int,
) -> tuple[PnlPoint, ...]:
    """Return what was made, one point for each currency.

    Args:
        holdings: by instrument.
        instruments: of all holdings.
        marks: by instrument.
        sources: gains that the strategy knows the source of, in units of money of the currency of
            the first instrument; what is left of the gain is the inventory's.
        now_ms: milliseconds since the epoch.
    """
    if not instruments:
        return ()
    first = next(iter(instruments.values())).settle
    by_currency: dict[str, list[str]] = {}
    for key in (one for one in holdings if one in instruments):
        by_currency.setdefault(instruments[key].settle, []).append(key)
    return tuple(
        _point(
            currency,
            {key: holdings[key] for key in keys},
            instruments,
            marks,
            sources if currency == first else {},
            now_ms,
        )
        for currency, keys in by_currency.items()
    )


def _point(
    currency: str,
    holdings: Mapping[str, Holding],
    instruments: Mapping[str, Instrument],
    marks: Mapping[str, MarkPoint],
    sources: Mapping[str, int],
    now_ms: int,
) -> PnlPoint:
    digits = max(instruments[key].money_digits for key in holdings)
    total = dict.fromkeys(("realised", "fees", "funding", "volume"), 0)
    gain: int | None = 0
    ages = []
    for key, held in holdings.items():
        one = instruments[key]
        scale = 10 ** (digits - one.money_digits)
        for name in total:
            total[name] += getattr(held, name) * scale
        if not held.size:
            continue
        mark = _mark(one, marks)
        if mark is None:
            gain = None
            continue
        ages.append(now_ms - mark.at_ms)
        if gain is not None:
            gain += unrealised(held, one, mark.price) * scale
    parts: dict[str, int] = {}
    if sources and gain is not None:
        known = sum(sources.values())
        parts = {
            **sources,
            "inventory": total["realised"] + gain - known,
            "fees": -total["fees"],
            "funding": total["funding"],
        }
    return PnlPoint(
        currency=currency,
        unrealised=None if gain is None else units_text(gain, digits),
        mark_age_ms=max(ages) if ages else None,
        sources={name: units_text(amount, digits) for name, amount in parts.items()},
        **{name: units_text(amount, digits) for name, amount in total.items()},
    )
