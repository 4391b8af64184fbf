"""Keep the list of followed leaders: renewed on each wake-up, at least every second."""

from __future__ import annotations

import psycopg
import psycopg_pool
import redis.asyncio as redis
import structlog

from services.ingest.catch_up import CatchUp
from services.ingest.core.merge import Merger
from services.ingest.store import Store
from tradingtools import clock
from tradingtools.storage.redis import control_feed

_POLL_MS = 1000
_REFRESH_SECONDS = 60.0
_log = structlog.get_logger("ingest")


class Leaders:
    """The set of leaders: a new one is caught up and gets a baseline, a lost one is forgotten."""

    def __init__(self, store: Store, merger: Merger) -> None:
        self.wallets: frozenset[bytes] = frozenset()
        self._store = store
        self._merger = merger
        self._seq = -1
        self._refreshed_at = 0.0

    async def refresh(self, catch_up: CatchUp) -> None:
        """Load the set if it may have changed. Raises what the store raises."""
        seq = await self._store.control_seq()
        # Lots come and go without a control change, so an unchanged number is not the last word.
        if seq == self._seq and clock.monotonic() - self._refreshed_at < _REFRESH_SECONDS:
            return
        present = await self._store.leaders()
        before = {wallet.decode() for wallet in self.wallets}
        added = sorted(present - before)
        known = await self._store.last_traded(added) if added else {}
        self.wallets = frozenset(leader.encode() for leader in present)
        self._seq, self._refreshed_at = seq, clock.monotonic()
        for leader in added:
            catch_up.follow(leader, known.get(leader))
        for leader in before - present:
            catch_up.drop(leader)
            self._merger.drop_leader(leader)
        if added or before - present:
            _log.info("leaders changed", followed=len(present), added=len(added))

    async def run(self, catch_up: CatchUp, client: redis.Redis) -> None:
        """Refresh for ever; while the database is away, the set stays as it was."""
        async for _ in control_feed.wake_ups(client, poll_ms=_POLL_MS):
            try:
                await self.refresh(catch_up)
            except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
                _log.warning("leaders not refreshed", error=str(error))
