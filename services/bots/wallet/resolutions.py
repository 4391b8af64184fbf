"""Resolved markets in which bots still hold shares: looked up now and then, and paid out.

The feed tells a resolution once, to those who listen, and not always what a share pays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.trading import ReadError

POLL_SECONDS = 60.0
_log = structlog.get_logger("bots")


class Resolutions:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
    """

    def __init__(self, wallet: Wallet, sending: Sending) -> None:
        self._wallet = wallet
        self._sending = sending

    async def follow(self) -> None:
        """Look for ever, whenever all bots that may hold something are here."""
        while True:
            await self._wallet.whole.wait()
            for one in self._held():
                await self._look(one)
            await asyncio.sleep(POLL_SECONDS)

    def _held(self) -> Sequence[Instrument]:
        known = self._wallet.instruments
        held = {one for bot in self._wallet.bots.values() for one in bot.left}
        mine = sorted(held & known.keys())
        return [known[one] for one in mine if known[one].kind is InstrumentKind.BINARY]

    async def _look(self, instrument: Instrument) -> None:
        try:
            found = await self._wallet.venue.instruments.find([instrument.symbol])
        except ReadError as error:
            _log.warning("a market was not read", instrument=instrument.id, why=str(error))
            return
        for one in found:
            if one.payout is None:
                continue
            self._wallet.instruments[one.id] = one
            for bot in self._wallet.bots.values():
                if one.id in bot.left:
                    self._sending.notify(bot, partial(bot.resolved, one))
