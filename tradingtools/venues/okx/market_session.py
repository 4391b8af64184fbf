"""The public socket of some instruments as a state machine: subscribe, tell, resync. Pure.

A book in doubt is told as STALE before anything else is done about it. A whole one is asked for by
subscribing anew; where that brings none in time, by REST.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tradingtools.domain.instrument import Instrument, InstrumentKind, TradingPhase
from tradingtools.venues.okx.book_frames import BookChange, read_changes
from tradingtools.venues.okx.book_states import BookState, OkxBook, Outcome
from tradingtools.venues.okx.error_codes import Action, action_of, meaning_of
from tradingtools.venues.okx.instruments import Directory, InstrumentRow, UnsupportedInstrument
from tradingtools.venues.okx.instruments import listing as listing_of
from tradingtools.venues.okx.market_frames import (
    change_of,
    read_funding,
    read_index,
    read_instrument_rows,
    read_marks,
    read_prints,
)
from tradingtools.venues.okx.private_session import Renew, Send, subscription
from tradingtools.venues.okx.wire import Argument, Event, Push, WireError, decode_frame
from tradingtools.venues.trading import MarketEvent, PhaseChange

WHOLE_WITHIN_NS = 3_000_000_000
"""A whole book that was asked for comes within this, or is asked for in another way."""
_TOGETHER = 50
_GIVES_UP = frozenset({Action.RECONNECT, Action.CREDENTIALS, Action.READ, Action.LATER})


@dataclass(frozen=True, slots=True)
class EmitMarketEvent:
    """Something happened in a market."""

    event: MarketEvent


@dataclass(frozen=True, slots=True)
class Warn:
    """Something that a person should know of; the connection goes on."""

    detail: str


MarketEffect = Send | EmitMarketEvent | Warn | Renew


class MarketSession:
    """One connection.

    Args:
        directory: the instruments; new rules are put into it.
        instruments: that are told of, as whoever is told knows them.
    """

    def __init__(self, directory: Directory, instruments: Sequence[Instrument]) -> None:
        self._directory = directory
        self._held = {one.symbol: one for one in instruments}
        self._books = {one.symbol: OkxBook(one) for one in instruments}
        self._indexes: dict[str, list[str]] = defaultdict(list)
        for one in instruments:
            if one.kind is not InstrumentKind.SPOT:
                self._indexes[index_of(one)].append(one.symbol)
        self._requested_ns: dict[str, int] = {}
        """When a whole book was asked for last."""

    def begin(self, now_ns: int) -> list[MarketEffect]:
        """Return what has become of the instruments since they were told, and the first frames."""
        effects: list[MarketEffect] = []
        for symbol, held in list(self._held.items()):
            listed = self._directory.get(symbol)
            change = listed and change_of(held, listed.instrument, now_ns // 1_000_000)
            if change:
                self._held[symbol] = change.instrument
                self._books[symbol] = OkxBook(change.instrument)
                effects.append(EmitMarketEvent(change))
        self._requested_ns = dict.fromkeys(self._books, now_ns)
        arguments = list(self._arguments())
        effects += [
            Send(subscription("subscribe", tuple(arguments[at : at + _TOGETHER])))
            for at in range(0, len(arguments), _TOGETHER)
        ]
        return effects

    def receive(self, frame: bytes, received_ns: int) -> list[MarketEffect]:
        """Take a frame. Return what has to be done, in order."""
        try:
            read = decode_frame(frame)
            if isinstance(read, Event):
                return self._on_event(read)
            return list(self._on_push(read, received_ns)) if isinstance(read, Push) else []
        except WireError as error:
            return [Renew(f"it cannot be read: {error}")]

    def overdue(self, now_ns: int) -> list[str]:
        """Return the symbols whose whole book did not come in time; they are asked for by REST."""
        late = [s for s, at in self._requested_ns.items() if now_ns - at > WHOLE_WITHIN_NS]
        for symbol in late:
            self._requested_ns[symbol] = now_ns
        return late

    def join(self, symbol: str, snapshot: BookChange, received_ns: int) -> list[MarketEffect]:
        """Take a whole book that came over REST."""
        book = self._books[symbol]
        if book.join(snapshot) is Outcome.LOST:
            return self._ask_again(symbol, received_ns)
        self._requested_ns.pop(symbol, None)
        return [EmitMarketEvent(book.book(received_ns))]

    def instrument(self, symbol: str) -> Instrument:
        """Return an instrument with its newest rules."""
        return self._held[symbol]

    def lost(self, now_ns: int) -> list[EmitMarketEvent]:
        """Return all books as they are without a connection."""
        effects: list[EmitMarketEvent] = []
        for book in self._books.values():
            if book.state is BookState.WHOLE:
                book.doubt()
                effects.append(EmitMarketEvent(book.book(now_ns)))
        return effects

    def _arguments(self) -> Iterator[Argument]:
        for symbol, instrument in self._held.items():
            yield Argument(channel="books", inst_id=symbol)
            yield Argument(channel="trades", inst_id=symbol)
            if instrument.kind is InstrumentKind.SWAP:
                yield Argument(channel="funding-rate", inst_id=symbol)
            if instrument.kind is not InstrumentKind.SPOT:
                yield Argument(channel="mark-price", inst_id=symbol)
        for index in self._indexes:
            yield Argument(channel="index-tickers", inst_id=index)
        listings = [self._directory.get(symbol) for symbol in self._held]
        for inst_type in dict.fromkeys(one.inst_type for one in listings if one is not None):
            yield Argument(channel="instruments", inst_type=inst_type)

    def _on_event(self, event: Event) -> list[MarketEffect]:
        if event.event not in ("error", "notice"):
            return []
        action = action_of(event.code)
        if action in _GIVES_UP:
            return [Renew(f"{event.code} {meaning_of(event.code)}", action)]
        # One channel that does not exist takes nothing from the others.
        return [Warn(f"{event.code} {meaning_of(event.code)}: {event.msg}"[:200])]

    def _on_push(self, push: Push, received_ns: int) -> Iterator[MarketEffect]:
        channel = push.arg.channel
        if channel == "instruments":
            yield from self._on_instruments(push, received_ns)
            return
        if channel == "index-tickers":
            for symbol in self._indexes.get(push.arg.inst_id, ()):
                yield from map(EmitMarketEvent, read_index(push.data, self._held[symbol]))
            return
        instrument = self._held.get(push.arg.inst_id)
        if instrument is None:
            return
        match channel:
            case "books":
                yield from self._on_book(push, instrument, received_ns)
            case "trades":
                yield from map(EmitMarketEvent, read_prints(push.data, instrument))
            case "funding-rate":
                yield from map(EmitMarketEvent, read_funding(push.data, instrument))
            case "mark-price":
                yield from map(EmitMarketEvent, read_marks(push.data, instrument))
            case _:
                pass

    def _on_book(
        self, push: Push, instrument: Instrument, received_ns: int
    ) -> Iterator[MarketEffect]:
        book = self._books[instrument.symbol]
        for change in read_changes(push, instrument):
            before = book.state
            match book.apply(change):
                case Outcome.CHANGED:
                    if change.snapshot:
                        self._requested_ns.pop(instrument.symbol, None)
                    yield EmitMarketEvent(book.book(received_ns))
                case Outcome.LOST:
                    if before is BookState.WHOLE:
                        yield EmitMarketEvent(book.book(received_ns))
                    yield from self._ask_again(instrument.symbol, received_ns)
                case _:
                    pass

    def _ask_again(self, symbol: str, now_ns: int) -> list[MarketEffect]:
        self._requested_ns[symbol] = now_ns
        books = (Argument(channel="books", inst_id=symbol),)
        return [Send(subscription("unsubscribe", books)), Send(subscription("subscribe", books))]

    def _on_instruments(self, push: Push, received_ns: int) -> Iterator[MarketEffect]:
        for row in read_instrument_rows(push.data):
            if row.inst_id not in self._held:
                continue
            try:
                yield from self._on_row(row, received_ns)
            except UnsupportedInstrument as error:
                yield Warn(str(error))
                yield from self._suspend(row.inst_id, received_ns)

    def _on_row(self, row: InstrumentRow, received_ns: int) -> Iterator[MarketEffect]:
        listed = listing_of(row)
        self._directory.put([listed])
        # Others read the directory anew, too: what it has may not be told yet.
        change = change_of(self._held[row.inst_id], listed.instrument, received_ns // 1_000_000)
        if change is None:
            return
        yield EmitMarketEvent(change)
        yield from self._take_over(change.instrument, received_ns)

    def _take_over(self, instrument: Instrument, received_ns: int) -> Iterator[MarketEffect]:
        symbol, held = instrument.symbol, self._held[instrument.symbol]
        self._held[symbol] = instrument
        if _units(held) == _units(instrument):
            self._books[symbol].instrument = instrument
            return
        # Integers have another meaning: nothing of the old book may be read with the new units.
        self._books[symbol] = OkxBook(instrument)
        yield EmitMarketEvent(self._books[symbol].book(received_ns))
        yield from self._ask_again(symbol, received_ns)

    def _suspend(self, symbol: str, received_ns: int) -> Iterator[MarketEffect]:
        held = self._held[symbol]
        if held.phase is TradingPhase.SUSPENDED:
            return
        self._held[symbol] = replace(held, phase=TradingPhase.SUSPENDED)
        yield EmitMarketEvent(
            PhaseChange(
                instrument=self._held[symbol],
                phase=TradingPhase.SUSPENDED,
                cause="suspension",
                venue_ms=received_ns // 1_000_000,
            )
        )


def index_of(instrument: Instrument) -> str:
    """Return the name of the index of a contract."""
    return f"{instrument.base}-{instrument.quote}"


def _units(instrument: Instrument) -> tuple[int, int]:
    return instrument.price_digits, instrument.size_digits
