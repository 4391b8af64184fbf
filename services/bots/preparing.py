"""An engine prepares for wallets that others are about to hand over to it.

Whoever hands a wallet over lets its bots trade on until its heir is ready: what can be opened
without a right to the wallet, such as books, is open by then. So quotes stand without their bot for
as long as the account is read, and no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from services.bots.connectors import Connector
from services.bots.leases.store import Leases, Offer
from tradingtools.tasks import cancel_all

LINGERS_SECONDS = 15.0
"""Seconds for which a prepared venue stays open after its wallet has come, or has not."""
_log = structlog.get_logger("bots")


class Preparing:
    """See the module.

    Args:
        leases: of this process.
        ways: to exchanges, by name.
    """

    def __init__(self, leases: Leases, ways: Mapping[str, Connector]) -> None:
        self._leases = leases
        self._ways = ways
        self._works: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._open: set[tuple[str, int]] = set()
        self.awaits = asyncio.Event()
        """Set as long as a wallet is about to come."""

    async def look(self) -> None:
        """Begin to prepare for what is offered by now, and note what is offered no more."""
        offers = {(one.wallet_id, one.epoch): one for one in await self._leases.offered()}
        for key, offer in offers.items():
            if key not in self._works:
                self._works[key] = asyncio.create_task(self._prepare(key, offer))
        self._open = set(offers)
        for key in [key for key, work in self._works.items() if work.done()]:
            if key not in offers:
                del self._works[key]
        if offers:
            self.awaits.set()
        else:
            self.awaits.clear()

    async def close(self) -> None:
        """Let go of everything."""
        await cancel_all([*self._works.values()])

    async def _prepare(self, key: tuple[str, int], offer: Offer) -> None:
        try:
            way = self._ways[offer.exchange]
            async with way.prepared(offer.environment, offer.instruments):
                await self._leases.ready(offer)
                while key in self._open:  # noqa: ASYNC110 - a row
                    await asyncio.sleep(1.0)
                await asyncio.sleep(LINGERS_SECONDS)
        except Exception as error:  # noqa: BLE001 - its owner waits for a while, no longer
            _log.warning(
                "nothing is prepared for a wallet", wallet=offer.wallet_id, why=repr(error)
            )
