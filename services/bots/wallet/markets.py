"""The markets of a wallet's bots, followed together and told to each bot that trades there.

A feed tells that a book is in doubt which it had; whatever the feed before it had, is doubted here
when the new one does not tell it soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import msgspec

from services.bots import metrics
from services.bots.core.market import TRUSTED
from services.bots.wallet.rates import MarkedRates
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet
from tradingtools import clock
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import TradingPhase
from tradingtools.tasks import cancel_all
from tradingtools.venues.trading import MarketEvent, PhaseChange, TradingBook

BOOK_WITHIN_MS = 3_000
"""A new feed tells each book of the one before within this, or the book is in doubt."""


class Markets:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
    """

    def __init__(self, wallet: Wallet, sending: Sending) -> None:
        self._wallet = wallet
        self._sending = sending
        self._rates = MarkedRates(wallet)
        self._following = asyncio.Lock()
        self._feeding: asyncio.Task[None] | None = None
        self._fed: frozenset[str] = frozenset()
        self._doubted: set[str] = set()
        self._books: dict[str, TradingBook] = {}
        """As they were told last, of what is followed."""
        self._due_ms: dict[str, int] = {}
        """By instrument, until when a new feed has to tell its book."""

    async def follow(self) -> None:
        """Follow the markets of all bots; another set of them is followed anew."""
        async with self._following:
            await self._rates.look()
            await self._follow_desired()
            self._notify_newcomers()

    async def _follow_desired(self) -> None:
        bots = self._wallet.bots.values()
        desired = frozenset(
            one
            for bot in bots
            if bot.trades
            for one in bot.setup.instruments
            if self._wallet.instruments[one].phase is not TradingPhase.ENDED
        )
        # Of no use but to bots.
        desired |= self._rates.instruments if desired else frozenset()
        if desired == self._fed:
            return
        await self.close()
        self._fed, self._feeding = desired, None
        self._rates.keep(desired)
        self._books = {key: book for key, book in self._books.items() if key in desired}
        self._due_ms = dict.fromkeys(self._books, clock.monotonic_ms() + BOOK_WITHIN_MS)
        if desired:
            self._feeding = asyncio.create_task(self._follow(sorted(desired)))

    def _notify_newcomers(self) -> None:
        """Tell bots the books that were told before they came: a quiet one is told no more."""
        for bot in self._wallet.bots.values():
            for one in bot.setup.instruments:
                book = self._books.get(one)
                if book is not None and bot.trades and not bot.has_book(one):
                    self._sending.notify(bot, partial(bot.market, book))

    def check(self) -> None:
        """Doubt the books that a new feed does not tell.

        Raises:
            RuntimeError: the feed has ended, by a defect: quotes would stand on old books.
        """
        self._rates.check()
        if self._feeding is not None and self._feeding.done():
            self._feeding.result()
            raise RuntimeError("the feed of markets ended")
        now = clock.monotonic_ms()
        for one in [key for key, due in self._due_ms.items() if now >= due]:
            self._take(msgspec.structs.replace(self._books[one], status=BookStatus.STALE))

    async def close(self) -> None:
        """Follow nothing any more."""
        if self._feeding is not None:
            await cancel_all([self._feeding])

    async def _follow(self, desired: Sequence[str]) -> None:
        instruments = [self._wallet.instruments[one] for one in desired]
        async for event in self._wallet.venue.feed.events(instruments):
            self._take(event)

    def _take(self, event: MarketEvent) -> None:
        self._rates.take(event)
        named = event.instrument.id if isinstance(event, PhaseChange) else event.instrument_id
        if isinstance(event, TradingBook):
            self._books[named] = event
            self._due_ms.pop(named, None)
            self._note(event)
        if isinstance(event, PhaseChange):
            # It is told once, and bots that begin later go by it.
            self._wallet.instruments[named] = replace(event.instrument, phase=event.phase)
        for bot in self._wallet.bots.values():
            if named in bot.setup.instruments:
                self._sending.notify(bot, partial(bot.market, event))

    def _note(self, book: TradingBook) -> None:
        """Count that a book, which was trusted, is not any more."""
        if book.status in TRUSTED:
            self._doubted.discard(book.instrument_id)
        elif book.instrument_id not in self._doubted:
            self._doubted.add(book.instrument_id)
            metrics.DOUBTS.add(1, {"exchange": book.instrument_id.partition(":")[0]})
