"""The markets of a wallet's bots, followed together and told to each bot that trades there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from services.bots import metrics
from services.bots.core.market import TRUSTED
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet
from tradingtools.domain.instrument import TradingPhase
from tradingtools.tasks import cancel_all
from tradingtools.venues.trading import PhaseChange, TradingBook


class Markets:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
    """

    def __init__(self, wallet: Wallet, sending: Sending) -> None:
        self._wallet = wallet
        self._sending = sending
        self._feeding: asyncio.Task[None] | None = None
        self._fed: frozenset[str] = frozenset()
        self._doubted: set[str] = set()

    async def follow(self) -> None:
        """Follow the markets of all bots; another set of them is followed anew."""
        bots = self._wallet.bots.values()
        wanted = frozenset(
            one
            for bot in bots
            if bot.trades
            for one in bot.setup.instruments
            if self._wallet.instruments[one].phase is not TradingPhase.ENDED
        )
        if wanted == self._fed:
            return
        await self.close()
        self._fed, self._feeding = wanted, None
        if wanted:
            self._feeding = asyncio.create_task(self._follow(sorted(wanted)))

    def check(self) -> None:
        """Raise if the feed has ended, by a defect: without it quotes would stand on old books."""
        if self._feeding is not None and self._feeding.done():
            self._feeding.result()
            raise RuntimeError("the feed of markets ended")

    async def close(self) -> None:
        """Follow nothing any more."""
        if self._feeding is not None:
            await cancel_all([self._feeding])

    async def _follow(self, wanted: Sequence[str]) -> None:
        instruments = [self._wallet.instruments[one] for one in wanted]
        async for event in self._wallet.venue.feed.events(instruments):
            if isinstance(event, TradingBook):
                self._note(event)
            named = event.instrument.id if isinstance(event, PhaseChange) else event.instrument_id
            if isinstance(event, PhaseChange) and event.phase is TradingPhase.ENDED:
                self._wallet.instruments[named] = replace(event.instrument, phase=event.phase)
            for bot in self._wallet.bots.values():
                if named in bot.setup.instruments:
                    self._sending.tell(bot, partial(bot.market, event))

    def _note(self, book: TradingBook) -> None:
        """Count that a book, which was trusted, is not any more."""
        if book.status in TRUSTED:
            self._doubted.discard(book.instrument_id)
        elif book.instrument_id not in self._doubted:
            self._doubted.add(book.instrument_id)
            metrics.DOUBTS.add(1, {"exchange": book.instrument_id.partition(":")[0]})
