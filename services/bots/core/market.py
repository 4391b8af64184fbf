"""The markets of a bot as it knows them: instruments, books, funding and marks. Without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.bots.core.orders import BotOrder
from services.bots.core.own_orders import of_others
from services.bots.core.risk import MarkPoint
from services.bots.core.strategy import BookEvent, FundingEvent, PrintEvent, StrategyEvent
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, TradingPhase
from tradingtools.venues.trading import (
    Funding,
    MarketEvent,
    MarkPrice,
    PhaseChange,
    Print,
    TradingBook,
)

TRUSTED = (BookStatus.FRESH, BookStatus.EMPTY)


class Market:
    """See the module.

    Args:
        instruments: by id, as they were when the bot began.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self.instruments = dict(instruments)
        self.books: dict[str, TradingBook] = {}
        """As the venues tell them."""
        self.books_of_others: dict[str, TradingBook] = {}
        """Without the bot's own orders, as they were known when each book came."""
        self.fundings: dict[str, Funding] = {}
        self.marks: dict[str, MarkPoint] = {}

    @property
    def doubted(self) -> list[str]:
        """Return the instruments whose book may not be trusted at the moment."""
        return [key for key, book in self.books.items() if book.status not in TRUSTED]

    def is_trusted(self, instrument_id: str) -> bool:
        """Return whether there is a book that may be believed."""
        book = self.books.get(instrument_id)
        return book is not None and book.status in TRUSTED

    def is_fresh(self, instrument_id: str, age_ms: int, now_ms: int) -> bool:
        """Return whether a mark may be believed: it is young, or its book is whole and quiet."""
        mark = self.marks.get(instrument_id)
        if mark is None:
            return False
        return now_ms - mark.at_ms <= age_ms or self.is_trusted(instrument_id)

    def marks_at(self, now_ms: int) -> Mapping[str, MarkPoint]:
        """Return the marks with their times; that of a whole book holds as long as it is trusted.

        A book that nobody trades in is quiet for minutes; its feed tells when it is in doubt.
        """
        return {key: self._standing(key, mark, now_ms) for key, mark in self.marks.items()}

    def _standing(self, instrument_id: str, mark: MarkPoint, now_ms: int) -> MarkPoint:
        book = self.books.get(instrument_id)
        whole = book is not None and book.status is BookStatus.FRESH and book.bids and book.asks
        # Not by `replace`: this is done several times an event.
        return MarkPoint(price=mark.price, at_ms=now_ms) if whole else mark

    def is_ended(self, instrument_id: str) -> bool:
        """Return whether an instrument is traded never again."""
        return self.instruments[instrument_id].phase is TradingPhase.ENDED

    def take(
        self, event: MarketEvent, now_ms: int, own: Iterable[BotOrder] = ()
    ) -> StrategyEvent | None:
        """Keep what a market tells; return what the strategy hears of it, if anything.

        Args:
            event: of one of the instruments.
            now_ms: milliseconds since the epoch.
            own: orders of the bot that may rest.
        """
        if isinstance(event, TradingBook):
            self.books[event.instrument_id] = event
            instrument = self.instruments[event.instrument_id]
            self.books_of_others[event.instrument_id] = of_others(event, instrument, own)
            if event.status is BookStatus.FRESH and event.bids and event.asks:
                middle = (event.bids[0][0] + event.asks[0][0]) // 2
                self.marks[event.instrument_id] = MarkPoint(price=middle, at_ms=now_ms)
            return BookEvent(event.instrument_id)
        if isinstance(event, Print):
            return PrintEvent(event)
        if isinstance(event, Funding):
            self.fundings[event.instrument_id] = event
            return FundingEvent(event)
        if isinstance(event, PhaseChange):
            self.instruments[event.instrument.id] = replace(event.instrument, phase=event.phase)
            return BookEvent(event.instrument.id)
        if isinstance(event, MarkPrice):
            self.marks[event.instrument_id] = MarkPoint(price=event.price, at_ms=now_ms)
        return None
