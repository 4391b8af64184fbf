"""The market of a backtest: events in order of time, recorded or made from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from heapq import merge
from pathlib import Path
from typing import BinaryIO

import msgspec

from services.bots.core.strategy import SignalEvent
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind, UnitError
from tradingtools.venues.trading import Funding, MarketEvent, Print, TradingBook

TapeEvent = MarketEvent | SignalEvent
_TAIL_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededMarket:
    """A market that a seed makes: a mid that walks by ticks, and takers who come at random."""

    instrument: Instrument
    seed: int
    start_ms: int = 1_700_000_000_000
    seconds: int
    updates_per_second: float = 10.0
    prints_per_second: float = 1.0
    start_price: int
    """In units of price, on a tick."""
    drift: float = 0.0
    """Ticks a second: above zero, the market trends up, and more takers buy."""
    turn_s: float = 0.0
    """After so many seconds the trend turns round, again and again; 0: never."""
    level_size: int
    """Mean size of a level."""
    levels: int = 5
    spread_ticks: int = 2


def seeded(market: SeededMarket) -> Iterator[MarketEvent]:
    """Make the events of a market, the same ones for the same seed."""
    rng = random.Random(market.seed)  # noqa: S311
    instrument, tick = market.instrument, market.instrument.tick_size
    mid, clock, trades = market.start_price // tick, float(market.start_ms), 0
    end = market.start_ms + market.seconds * 1000
    rate = market.updates_per_second + market.prints_per_second
    carry = 0.0
    while True:
        gap = rng.expovariate(rate) * 1000
        clock += gap
        if clock >= end:
            return
        at_ms = int(clock)
        drift = market.drift * _direction(market, clock)
        if rng.random() < market.prints_per_second / rate:
            trades += 1
            buying = rng.random() < 0.5 + max(min(drift / 4, 0.4), -0.4)
            edge = (market.spread_ticks + 1) // 2
            price = (mid + edge if buying else mid - edge) * tick
            size = _size(rng, instrument, market.level_size)
            yield Print(
                instrument_id=instrument.id,
                trade_id=str(trades),
                side="BUY" if buying else "SELL",
                price=price,
                size=size,
                venue_ms=at_ms,
            )
            continue
        carry += drift * gap / 1000
        whole = int(carry)
        carry -= whole
        mid = max(mid + whole + rng.choice((-1, 0, 0, 1)), market.spread_ticks + market.levels)
        yield _book(rng, market, mid, at_ms)


def _direction(market: SeededMarket, clock: float) -> int:
    turns = int((clock - market.start_ms) / 1000 / market.turn_s) if market.turn_s else 0
    return -1 if turns % 2 else 1


def _size(rng: random.Random, instrument: Instrument, mean: int) -> int:
    lots = max(int(rng.expovariate(1.0) * mean) // instrument.lot_size, 1)
    return lots * instrument.lot_size


def _book(rng: random.Random, market: SeededMarket, mid: int, at_ms: int) -> TradingBook:
    instrument, tick = market.instrument, market.instrument.tick_size
    edge = (market.spread_ticks + 1) // 2
    sizes = [_size(rng, instrument, market.level_size) for _ in range(2 * market.levels)]
    return TradingBook(
        instrument_id=instrument.id,
        status=BookStatus.FRESH,
        bids=tuple(((mid - edge - n) * tick, sizes[n]) for n in range(market.levels)),
        asks=tuple(((mid + edge + n) * tick, sizes[-1 - n]) for n in range(market.levels)),
        venue_ms=at_ms,
    )


def moment(event: TapeEvent) -> int:
    """Return when an event is told: a funding rate as its interval begins."""
    if isinstance(event, Funding):
        return event.at_ms - event.interval_ms
    return event.made_ms if isinstance(event, SignalEvent) else event.venue_ms


def merged(*tapes: Iterable[TapeEvent]) -> Iterator[TapeEvent]:
    """Return the events of several tapes as one, in order of time."""
    return merge(*tapes, key=moment)


class _Units(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An instrument as a recording has it."""

    id: str
    kind: InstrumentKind
    base: str
    quote: str
    settle: str
    price_digits: int
    size_digits: int
    money_digits: int
    tick_size: int
    lot_size: int
    minimum_size: int
    maximum_size: int | None = None
    contract: Decimal = Decimal(1)
    inverse: bool = False
    group: str = ""
    ends_ms: int | None = None

    @classmethod
    def of(cls, one: Instrument) -> _Units:
        """Return an instrument's units."""
        return cls(**{name: getattr(one, name) for name in cls.__struct_fields__})

    def instrument(self) -> Instrument:
        """Return the instrument; raises UnitError."""
        return Instrument(**msgspec.structs.asdict(self))


class _Line(msgspec.Struct, omit_defaults=True):
    """One line of a recording: an instrument, a book, a print, or a funding rate."""

    instrument: _Units | None = None
    book: TradingBook | None = None
    print: Print | None = None
    funding: Funding | None = None


_READ = msgspec.json.Decoder(_Line)


def recorded(path: Path) -> Iterator[MarketEvent]:
    """Read a recording: JSON, one event a line, in order of time.

    Raises:
        ValueError: a line cannot be read; the text has its number.
    """
    for line in _lines(path):
        event = line.book or line.print or line.funding
        if event is not None:
            yield event


def instruments(path: Path) -> list[Instrument]:
    """Return the instruments of a recording as they were then: its first lines.

    Raises:
        ValueError: a line cannot be read; the text has its number.
    """
    found = []
    for line in _lines(path):
        if line.instrument is None:
            break
        found.append(line.instrument.instrument())
    return found


def span_ms(path: Path) -> tuple[int, int]:
    """Return when a recording begins and ends; raises ValueError as `recorded` does."""
    first = next((moment(event) for event in recorded(path)), 0)
    with path.open("rb") as lines:
        lines.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        tail = lines.read().splitlines()
    for text in reversed(tail):
        try:
            line = _READ.decode(text)
        except msgspec.DecodeError:
            continue
        event = line.book or line.print or line.funding
        if event is not None:
            return first, max(moment(event), first)
    return first, first


class Recorder:
    """Writes a recording: instruments first, then books, prints and funding rates as they come."""

    def __init__(self, lines: BinaryIO, instruments: Iterable[Instrument] = ()) -> None:
        self._lines = lines
        self.count = 0
        """Events so far."""
        for one in instruments:
            self._write(_Line(instrument=_Units.of(one)))

    def notify(self, event: TapeEvent) -> None:
        """Write an event, if a recording has its kind."""
        line = _line(event)
        if line is not None:
            self._write(line)
            self.count += 1

    def _write(self, line: _Line) -> None:
        self._lines.write(msgspec.json.encode(line) + b"\n")


def record(path: Path, events: Iterable[TapeEvent], instruments: Iterable[Instrument] = ()) -> int:
    """Write a recording of events; return how many."""
    with path.open("wb") as lines:
        recorder = Recorder(lines, instruments)
        for event in events:
            recorder.notify(event)
    return recorder.count


def _line(event: TapeEvent) -> _Line | None:
    if isinstance(event, TradingBook):
        return _Line(book=event)
    if isinstance(event, Print):
        return _Line(print=event)
    return _Line(funding=event) if isinstance(event, Funding) else None


def _lines(path: Path) -> Iterator[_Line]:
    with path.open("rb") as lines:
        for number, text in enumerate(lines, 1):
            try:
                yield _READ.decode(text)
            except (msgspec.DecodeError, UnitError) as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from error
