"""An engine: leases wallets, runs the bots of each, and gives them away when it drains."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import structlog

from services.bots.store import LostError, Row, Store, WalletLease
from services.bots.wallet_run import Venue, WalletRun
from tradingtools.tasks import cancel_all

_log = structlog.get_logger("bots")
OpenVenue = Callable[[Row, WalletLease], AbstractAsyncContextManager[Venue]]
"""Opens a wallet's way to its exchange for the length of a block."""


@dataclass(slots=True)
class _Held:
    lease: WalletLease
    run: WalletRun
    task: asyncio.Task[None]


class Engine:
    """See the module.

    Args:
        store: of this engine.
        open_venue: by wallet.
        venues: exchanges that it can; an empty list means none.
        capacity: the most bots.
        version: of the program.
        lease_ms: length of a lease.
        poll_ms: how often it looks for work.
        write_ms: how long a wallet's changes wait to be written together.
    """

    def __init__(
        self,
        store: Store,
        open_venue: OpenVenue,
        *,
        venues: Sequence[str],
        capacity: int,
        version: str,
        lease_ms: int,
        poll_ms: int,
        write_ms: int,
    ) -> None:
        self._store = store
        self._open_venue = open_venue
        self._venues = venues
        self._capacity = capacity
        self._version = version
        self._lease_ms = lease_ms
        self._poll_ms = poll_ms
        self._write_ms = write_ms
        self._held: dict[str, _Held] = {}

    @property
    def bots(self) -> int:
        """Return how many bots run here."""
        return sum(one.run.bots for one in self._held.values())

    async def keep(self) -> None:
        """Take, renew and give back wallets for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew())
                group.create_task(self._keep_looking())
        finally:
            await self._let_go(list(self._held))

    async def _keep_looking(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self._poll_ms / 1000)

    async def _look(self) -> None:
        draining = await self._store.register(
            venues=self._venues, capacity=self._capacity, version=self._version, bots=self.bots
        )
        for wallet_id, held in list(self._held.items()):
            if held.task.done():
                self._ended(wallet_id, held)
        if draining:
            await self._let_go(list(self._held))
            return
        room = self._capacity - self.bots
        if room <= 0 or not self._venues:
            return
        taken = await self._store.take(
            venues=self._venues, mine=list(self._held), room=min(room, 20)
        )
        for lease in taken:
            await self._begin(lease)

    async def _begin(self, lease: WalletLease) -> None:
        row = await self._store.wallet(lease.wallet_id)
        run = WalletRun(self._store, lease, self._write_ms)
        _log.info("wallet is ours", wallet=lease.wallet_id, epoch=lease.epoch)
        task = asyncio.create_task(self._trade(run, row, lease))
        self._held[lease.wallet_id] = _Held(lease, run, task)

    async def _trade(self, run: WalletRun, row: Row, lease: WalletLease) -> None:
        async with self._open_venue(row, lease) as venue:
            await run.run(venue)

    def _ended(self, wallet_id: str, held: _Held) -> None:
        del self._held[wallet_id]
        error = None if held.task.cancelled() else held.task.exception()
        if isinstance(error, LostError):
            _log.warning("wallet is another engine's", wallet=wallet_id)
        elif error is not None:
            # The lease runs out, and whoever takes the wallet reconciles it.
            _log.error("wallet failed", wallet=wallet_id, exc_info=error)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            kept = await self._store.renew(list(self._held))
            for wallet_id, held in list(self._held.items()):
                lease = kept.get(wallet_id)
                if lease is None or lease.epoch != held.lease.epoch:
                    held.task.cancel()
                else:
                    held.lease = lease
                    held.run.renewed(lease)

    async def _let_go(self, wallets: Sequence[str]) -> None:
        """Give wallets away: what rests stays, and whoever takes them reconciles it."""
        for wallet_id in wallets:
            held = self._held.pop(wallet_id)
            await cancel_all([held.task])
            await held.run.close()
            await self._store.give_back(held.lease)
