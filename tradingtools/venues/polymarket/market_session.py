"""Books of the market channel as bots see them, checked by what the venue says of each. Pure.

Every change carries the best prices that it leads to; a book that has others is in doubt from then
on, and only a whole new one ends that. So does the end of the connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, TradingPhase
from tradingtools.domain.money import MICROS
from tradingtools.venues.polymarket import numbers
from tradingtools.venues.polymarket.market_channel import (
    BookMessage,
    ChangeMessage,
    LevelChange,
    MessageError,
    ResolvedMessage,
    TickMessage,
    UnknownKind,
    decode_message,
    split,
)
from tradingtools.venues.trading import Level, MarketEvent, PhaseChange, Print, TradingBook


@dataclass(slots=True)
class _State:
    instrument: Instrument
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    venue_ms: int = 0
    seen: bool = False
    doubtful: bool = False
    version: int = 0


class _Trade(msgspec.Struct, frozen=True):
    event_type: str = ""
    asset_id: str = ""
    price: msgspec.Raw = msgspec.Raw(b"null")
    size: msgspec.Raw = msgspec.Raw(b"null")
    side: str = ""
    timestamp: msgspec.Raw = msgspec.Raw(b"null")
    transaction_hash: str = ""


_TRADE = msgspec.json.Decoder(_Trade)
_TRADES = b"last_trade_price"


class MarketSession:
    """The books of some instruments over one connection."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._states = {one.symbol: _State(one) for one in instruments}

    @property
    def doubtful(self) -> bool:
        """Return whether a book is in doubt: a new connection brings a whole one."""
        return any(state.doubtful for state in self._states.values())

    def version(self, symbol: str) -> int:
        """Return a number that changes whenever the book is told of."""
        return self._states[symbol].version

    def receive(self, frame: bytes, now_ns: int) -> Iterator[MarketEvent]:
        """Return what a frame tells.

        Raises:
            MessageError: it cannot be read, and so may have told of any book.
        """
        if _TRADES in frame:
            yield from self._prints(frame)
        try:
            messages = decode_message(frame)
        except UnknownKind:
            return
        for message in messages:
            match message:
                case BookMessage():
                    yield from self._book(message, now_ns)
                case ChangeMessage():
                    yield from self._changes(message, now_ns)
                case TickMessage():
                    yield from self._tick(message)
                case ResolvedMessage():
                    yield from self._resolved(message)

    def differs(self, snapshot: BookMessage) -> bool:
        """Return whether a book over REST has other levels than the one that was told, if any."""
        state = self._states[snapshot.asset_id]
        same = state.bids == dict(snapshot.bids) and state.asks == dict(snapshot.asks)
        return not (state.seen and same)

    def doubt(self, symbol: str, now_ns: int) -> MarketEvent:
        """Return the book that is in doubt from now on."""
        state = self._states[symbol]
        state.doubtful = True
        return _reported(state, BookStatus.STALE, now_ns)

    def lost(self, now_ns: int) -> list[MarketEvent]:
        """Return the books after the connection has ended: all of them stale."""
        seen = [state for state in self._states.values() if state.seen]
        return [_reported(state, BookStatus.STALE, now_ns) for state in seen]

    def engine(self, phase: TradingPhase, now_ms: int) -> Iterator[MarketEvent]:
        """Return the phase of each market that was in another one and has not ended."""
        for state in self._states.values():
            if state.instrument.phase not in (phase, TradingPhase.ENDED):
                state.instrument = replace(state.instrument, phase=phase)
                yield _phase(state, "restart", now_ms)

    def started(self, symbol: str, now_ms: int) -> MarketEvent:
        """Return that a market's game has started: its orders were wiped, and it goes on."""
        return _phase(self._states[symbol], "game_start", now_ms)

    def instruments(self) -> list[Instrument]:
        """Return the instruments with the rules that they have now."""
        return [state.instrument for state in self._states.values()]

    def _book(self, message: BookMessage, now_ns: int) -> Iterator[MarketEvent]:
        state = self._states.get(message.asset_id)
        if state is None:
            return
        state.bids, state.asks = dict(message.bids), dict(message.asks)
        state.venue_ms, state.seen, state.doubtful = message.book_ms, True, False
        if message.tick_micros is not None:
            yield from _tick_changed(state, message.tick_micros, message.book_ms)
        yield _reported(state, _status(state), now_ns)

    def _changes(self, message: ChangeMessage, now_ns: int) -> Iterator[MarketEvent]:
        touched: dict[str, LevelChange] = {}
        for change in message.changes:
            state = self._states.get(change.asset_id)
            if state is None or not state.seen:
                continue
            levels = state.bids if change.is_bid else state.asks
            if change.size_micros:
                levels[change.price_micros] = change.size_micros
            else:
                levels.pop(change.price_micros, None)
            touched[change.asset_id] = change
        for symbol, last in touched.items():
            state = self._states[symbol]
            state.venue_ms = max(state.venue_ms, message.book_ms)
            if _contradicts(state, last):
                yield self.doubt(symbol, now_ns)
            elif not state.doubtful:
                yield _reported(state, _status(state), now_ns)

    def _tick(self, message: TickMessage) -> Iterator[MarketEvent]:
        state = self._states.get(message.asset_id)
        if state is not None:
            yield from _tick_changed(state, message.tick_micros, state.venue_ms)

    def _resolved(self, message: ResolvedMessage) -> Iterator[MarketEvent]:
        for symbol in message.asset_ids:
            state = self._states.get(symbol)
            if state is None:
                continue
            payout = MICROS if message.winner == symbol else 0
            state.instrument = replace(
                state.instrument,
                phase=TradingPhase.ENDED,
                # Without a winner of its own, Gamma alone says what a share pays.
                payout=None if message.winner is None else payout,
            )
            yield _phase(state, "resolution", state.venue_ms)

    def _prints(self, frame: bytes) -> Iterator[MarketEvent]:
        for raw in split(frame):
            try:
                trade = _TRADE.decode(raw)
                if trade.event_type != "last_trade_price" or trade.asset_id not in self._states:
                    continue
                price, size = numbers.text(trade.price), numbers.text(trade.size)
                reported = numbers.text(trade.timestamp)
                yield Print(
                    instrument_id=self._states[trade.asset_id].instrument.id,
                    # The channel numbers no trades.
                    trade_id=f"{trade.transaction_hash or reported}:{price}:{size}",
                    side="BUY" if trade.side.upper() == "BUY" else "SELL",
                    price=numbers.price("price", price),
                    size=numbers.exact("size", size),
                    venue_ms=numbers.epoch_ms("timestamp", reported),
                )
            except (msgspec.DecodeError, numbers.NumberError) as error:
                raise MessageError(str(error)) from None


def _tick_changed(state: _State, tick: int, venue_ms: int) -> Iterable[MarketEvent]:
    if tick == state.instrument.tick_size:
        return
    state.instrument = replace(state.instrument, tick_size=tick)
    yield _phase(state, "tick_change", venue_ms)


def _phase(state: _State, cause: str, venue_ms: int) -> PhaseChange:
    return PhaseChange(
        instrument=state.instrument, phase=state.instrument.phase, cause=cause, venue_ms=venue_ms
    )


def _contradicts(state: _State, last: LevelChange) -> bool:
    bid, ask = max(state.bids, default=0), min(state.asks, default=MICROS)
    return last.best_bid not in (None, bid) or last.best_ask not in (None, ask)


def _status(state: _State) -> BookStatus:
    if not state.bids and not state.asks:
        return BookStatus.EMPTY
    crossed = state.bids and state.asks and max(state.bids) >= min(state.asks)
    return BookStatus.CROSSED if crossed else BookStatus.FRESH


def _reported(state: _State, status: BookStatus, now_ns: int) -> TradingBook:
    state.version += 1
    bids: list[Level] = sorted(state.bids.items(), reverse=True)
    return TradingBook(
        instrument_id=state.instrument.id,
        status=status,
        bids=bids,
        asks=sorted(state.asks.items()),
        venue_ms=state.venue_ms,
        received_ns=now_ns,
    )
