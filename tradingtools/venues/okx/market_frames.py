"""Prints, funding, mark and index prices, and changes of instruments, as pushed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from tradingtools.domain.instrument import Instrument, TradingPhase
from tradingtools.venues.okx import numbers
from tradingtools.venues.okx.instruments import InstrumentRow
from tradingtools.venues.okx.numbers import NumberError
from tradingtools.venues.okx.wire import WireError, decode_rows
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Funding, IndexPrice, MarkPrice, PhaseChange, Print

_SIDES: dict[str, Side] = {"buy": "BUY", "sell": "SELL"}


class TradeRow(msgspec.Struct, frozen=True, rename="camel"):
    """A print of the channel `trades`: the fills of one taker at one price."""

    trade_id: str
    px: str
    sz: str
    side: Literal["buy", "sell"]
    ts: str


class FundingRow(msgspec.Struct, frozen=True, rename="camel"):
    """A rate, of the channel `funding-rate` and of REST."""

    funding_rate: str
    funding_time: str
    next_funding_time: str


class MarkRow(msgspec.Struct, frozen=True, rename="camel"):
    """A mark price."""

    mark_px: str
    ts: str


class IndexRow(msgspec.Struct, frozen=True, rename="camel"):
    """A price of an index, which several instruments may have."""

    idx_px: str
    ts: str


_TRADES = msgspec.json.Decoder(list[TradeRow])
_FUNDING = msgspec.json.Decoder(list[FundingRow])
_MARKS = msgspec.json.Decoder(list[MarkRow])
_INDEXES = msgspec.json.Decoder(list[IndexRow])
_INSTRUMENTS = msgspec.json.Decoder(list[InstrumentRow])


def read_prints(data: msgspec.Raw, instrument: Instrument) -> Iterator[Print]:
    """Yield the prints of a push. Raises WireError."""
    for row in decode_rows(data, _TRADES):
        try:
            yield Print(
                instrument_id=instrument.id,
                trade_id=row.trade_id,
                side=_SIDES[row.side],
                price=numbers.scaled("px", row.px, instrument.price_digits),
                size=numbers.scaled("sz", row.sz, instrument.size_digits),
                venue_ms=numbers.whole("ts", row.ts),
            )
        except NumberError as error:
            raise WireError(f"print {row.trade_id} of {instrument.id}: {error}") from None


def read_funding(data: msgspec.Raw, instrument: Instrument) -> Iterator[Funding]:
    """Yield the rates of a push, with the interval that their own times say. Raises WireError."""
    for row in decode_rows(data, _FUNDING):
        try:
            at_ms = numbers.whole("fundingTime", row.funding_time)
            interval_ms = numbers.whole("nextFundingTime", row.next_funding_time) - at_ms
            if interval_ms <= 0:
                raise NumberError("nextFundingTime is not after fundingTime")
            rate = numbers.decimal("fundingRate", row.funding_rate)
        except NumberError as error:
            raise WireError(f"funding of {instrument.id}: {error}") from None
        yield Funding(instrument_id=instrument.id, rate=rate, at_ms=at_ms, interval_ms=interval_ms)


def read_marks(data: msgspec.Raw, instrument: Instrument) -> Iterator[MarkPrice]:
    """Yield the mark prices of a push, to the nearest unit. Raises WireError."""
    for row in decode_rows(data, _MARKS):
        try:
            price = numbers.near_scale(
                numbers.positive("markPx", row.mark_px), instrument.price_digits
            )
            venue_ms = numbers.whole("ts", row.ts)
        except NumberError as error:
            raise WireError(f"mark of {instrument.id}: {error}") from None
        yield MarkPrice(instrument_id=instrument.id, price=price, venue_ms=venue_ms)


def read_index(data: msgspec.Raw, instrument: Instrument) -> Iterator[IndexPrice]:
    """Yield the prices of an instrument's index, to the nearest unit. Raises WireError."""
    for row in decode_rows(data, _INDEXES):
        try:
            price = numbers.near_scale(
                numbers.positive("idxPx", row.idx_px), instrument.price_digits
            )
            venue_ms = numbers.whole("ts", row.ts)
        except NumberError as error:
            raise WireError(f"index of {instrument.id}: {error}") from None
        yield IndexPrice(instrument_id=instrument.id, price=price, venue_ms=venue_ms)


def read_instrument_rows(data: msgspec.Raw) -> list[InstrumentRow]:
    """Return the rows of a push of `instruments` or of an answer of REST. Raises WireError."""
    return decode_rows(data, _INSTRUMENTS)


def change_of(old: Instrument, new: Instrument, venue_ms: int) -> PhaseChange | None:
    """Return what is new of an instrument that was told; None: nothing."""
    if new == old:
        return None
    return PhaseChange(instrument=new, phase=new.phase, cause=_cause(old, new), venue_ms=venue_ms)


def _cause(old: Instrument, new: Instrument) -> str:
    if new.phase is TradingPhase.ENDED:
        return "expiry"
    if new.phase is TradingPhase.SUSPENDED and old.phase is not TradingPhase.SUSPENDED:
        # An instrument that is taken off is suspended, and its end is written into the row before.
        return "delisting" if new.ends_ms is not None and old.ends_ms is None else "suspension"
    if new.phase is not old.phase:
        return "restart"
    if (new.ends_ms is not None) and old.ends_ms is None:
        return "delisting"
    return "tick_change"
