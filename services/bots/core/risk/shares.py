"""One bot's shares of the limits of its wallet, exchange and tenant, as it spends them. No I/O.

A share is durable before anything is ordered under it, and covers orders until it is used up: so no
order waits for a disk, and nobody else is given the same room. It is taken together with a permit,
and given back when much less of it is used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from services.bots.core.holding import Holding, unrealised
from services.bots.core.risk.exposure import Exposure, held, market_of
from services.bots.core.risk.worth import Rates, money_micros, no_rate, worth_micros
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side

PAUSE_MS = 1_000
"""A share that was refused is asked for again after so long."""
Key = tuple[str, Side]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRequest:
    """More of one side of an instrument, in micros of USDC."""

    instrument_id: str
    market: str
    side: Side
    need: int
    """For what is to be ordered now, and all that is there."""
    want: int
    """With room for what follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareUpdate:
    """An instrument's share as it is to be written, in micros of USDC."""

    instrument_id: str
    market: str
    long: int | None
    short: int | None
    """None: it stays as it is written."""
    held: int
    """Worth of what is held; below zero: short."""
    marked_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing may be ordered; a reason for a person, or none when it is a matter of an instant."""

    why: str = ""


class Shares:
    """See the module.

    Args:
        granted: by instrument and side, as they are written.
        rates: of currencies in USDC.
    """

    def __init__(self, granted: Mapping[Key, int], rates: Rates) -> None:
        self.granted = dict(granted)
        self.rates = rates
        self._refused: dict[Key, tuple[int, str]] = {}
        self._written = dict(granted)
        self._writing: dict[Key, int] = {}
        """On their way to the database, where a permit must not change them meanwhile."""
        self._undecided: set[Key] = set()
        """Asked for, or written, without an answer: what is there of them may be something else."""

    def shortfalls(
        self,
        exposure: Exposure,
        instrument: Instrument,
        side: Side,
        price: int,
        size: int,
        now_ms: int,
    ) -> ShareRequest | Refused | None:
        """Return the share that an order needs besides; None: it is covered.

        Args:
            exposure: as of now, without the order.
            instrument: of the order.
            side: of the order.
            price: its limit.
            size: what it adds to what could fill.
            now_ms: milliseconds since the epoch.
        """
        key = instrument.id, side
        has = self.granted.get(key, 0)
        need = used(exposure, instrument, side, self.rates, price=price, adding=size)
        if need is None:
            return Refused(f"stale_marks: {no_rate(instrument)}")
        if need <= has:
            return None
        if key in self._writing:
            return Refused()
        until, why = self._refused.get(key, (0, ""))
        if now_ms < until:
            return Refused(why)
        one = worth_micros(instrument, price, size, self.rates, up=True) or 0
        return ShareRequest(
            instrument_id=instrument.id,
            market=market_of(instrument),
            side=side,
            need=need,
            want=need + need // 4 + one,
        )

    def given(self, instrument_id: str, side: Side, micros: int) -> None:
        """Take a share that is durable now: the whole of that side."""
        self.granted[instrument_id, side] = self._written[instrument_id, side] = micros
        self._refused.pop((instrument_id, side), None)

    def refused(self, instrument_id: str, side: Side, why: str, now_ms: int) -> None:
        """Take that no more is to be had for the moment."""
        self._refused[instrument_id, side] = now_ms + PAUSE_MS, why

    def undecided(self, instrument_id: str, side: Side) -> None:
        """Take that nobody knows whether more was given; what is too much is given back."""
        self._undecided.add((instrument_id, side))

    def settle(
        self,
        exposure: Exposure,
        *,
        requested: Collection[Key],
        doubted: Collection[str],
        reconciled: bool,
        now_ms: int,
    ) -> list[ShareUpdate]:
        """Return the shares as they are to be written: grown by marks, or given back in part.

        Of a side that changes no more is asked for from here on; :meth:`settled` ends that.

        Args:
            exposure: as of now.
            requested: sides of which more is asked for just now.
            doubted: instruments whose book may not be trusted.
            reconciled: all orders are known; else nothing is given back.
            now_ms: milliseconds since the epoch.
        """
        # A write before this one that was not told as done may be there or not.
        self._undecided |= self._writing.keys()
        self._writing.clear()
        found = []
        for instrument_id, instrument in exposure.instruments.items():
            mark = exposure.marks.get(instrument_id)
            have = held(exposure, instrument_id).size
            known = any((instrument_id, side) in self.granted for side in _SIDES)
            if mark is None or not (have or known):
                continue
            worth = worth_micros(instrument, mark.price, abs(have), self.rates, up=True)
            if worth is None:
                continue
            found.append(
                ShareUpdate(
                    instrument_id=instrument_id,
                    market=market_of(instrument),
                    long=self._retained(exposure, instrument, "BUY", requested, reconciled),
                    short=self._retained(exposure, instrument, "SELL", requested, reconciled),
                    held=worth if have > 0 else -worth,
                    marked_ms=mark.at_ms if instrument_id in doubted else now_ms,
                )
            )
        return found

    def settled(self) -> None:
        """Take that the shares are written as they were told last."""
        self._written.update(self._writing)
        self._undecided -= self._writing.keys()
        self._writing.clear()

    def _retained(
        self,
        exposure: Exposure,
        instrument: Instrument,
        side: Side,
        requested: Collection[Key],
        reconciled: bool,
    ) -> int | None:
        key = instrument.id, side
        using = used(exposure, instrument, side, self.rates)
        if key in requested or using is None:
            # A permit writes it, or nobody knows how much of it is in use.
            return None
        has = self.granted.get(key, 0)
        if using > has:
            self.granted[key] = using
        elif reconciled and has > 2 * (using + using // 4):
            self.granted[key] = using + using // 4
        now = self.granted.get(key, 0)
        if now == self._written.get(key, 0) and key not in self._undecided:
            return None
        self._writing[key] = now
        return now


_SIDES: tuple[Side, Side] = ("BUY", "SELL")


def used(
    exposure: Exposure,
    instrument: Instrument,
    side: Side,
    rates: Rates,
    *,
    price: int = 0,
    adding: int = 0,
) -> int | None:
    """Return the most that a bot could be long (BUY) or short (SELL), in micros of USDC.

    All orders of the side fill and none of the other; at the mark, or the highest limit if that is
    more. None: the instrument's currency has no rate.

    Args:
        exposure: as of now.
        instrument: which one.
        side: BUY: long.
        rates: of currencies.
        price: limit of what is added.
        adding: size of an order that is not there yet.
    """
    have = held(exposure, instrument.id).size
    size = (have if side == "BUY" else -have) + adding
    mark = exposure.marks.get(instrument.id)
    highest = max(price, mark.price if mark is not None else 0)
    for one in exposure.orders:
        if one.order.instrument.id == instrument.id and one.order.side == side:
            size += one.reserved
            highest = max(highest, *one.worst_prices)
    return worth_micros(instrument, highest, max(size, 0), rates, up=True)


def result_micros(exposure: Exposure, rates: Rates) -> int | None:
    """Return what a bot has made, open gains included; None: a mark or a rate is missing."""
    total = 0
    for instrument_id, one in exposure.holdings.items():
        instrument = exposure.instruments[instrument_id]
        mark = exposure.marks.get(instrument_id)
        gain = _gain(one, instrument, None if mark is None else mark.price, rates)
        if gain is None:
            return None
        total += gain
    return total


def _gain(one: Holding, instrument: Instrument, price: int | None, rates: Rates) -> int | None:
    if price is None:
        if one.size or instrument.inverse:
            return None
        return money_micros(instrument, 0, one.made, rates)
    return money_micros(instrument, price, one.made + unrealised(one, instrument, price), rates)
