"""Writes where lanes stand, together and a few times a second: what is not is sent again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import structlog

from services.webhooks.core.lane import Lane
from services.webhooks.store import Delivery, Store

_EVERY_SECONDS = 0.2
_AWAY_SECONDS = 1.0
_LAZY = 25
"""Rounds after which it is also written how far a lane has looked without finding anything."""
_TIDY = 300
_MAX = 20_000
"""Attempts that wait to be written; the oldest are forgotten when the database is away."""
_log = structlog.get_logger("webhooks")


class Keeper:
    """Keeps lanes and attempts.

    Args:
        store: where.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lanes: dict[str, Lane] = {}
        self._looked: dict[str, Lane] = {}
        self._attempts: deque[tuple[str, Delivery]] = deque(maxlen=_MAX)
        self._busy: set[str] = set()
        self._writing = asyncio.Lock()
        self._some = asyncio.Event()

    def moved(self, endpoint_id: str, lane: Lane, attempt: Delivery | None = None) -> None:
        """Take note of a lane that something has happened to."""
        self._looked.pop(endpoint_id, None)
        self._lanes[endpoint_id] = lane
        if attempt is not None:
            self._attempts.append((endpoint_id, attempt))
            self._busy.add(endpoint_id)
        self._some.set()

    def looked(self, endpoint_id: str, lane: Lane) -> None:
        """Take note of a lane that has found nothing for its endpoint up to a number."""
        if endpoint_id in self._lanes:
            self._lanes[endpoint_id] = lane
        else:
            self._looked[endpoint_id] = lane
            self._some.set()

    def forget(self, endpoint_id: str) -> None:
        """Forget a lane that is no more."""
        self._lanes.pop(endpoint_id, None)
        self._looked.pop(endpoint_id, None)
        self._busy.discard(endpoint_id)

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Write nothing while the block runs: a delete locks the same rows the other way round."""
        async with self._writing:
            yield

    async def write(self) -> None:
        """Write what there is to write. Raises Fenced, psycopg.OperationalError."""
        async with self._writing:
            lanes, self._lanes = self._lanes, {}
            attempts = list(self._attempts)
            self._attempts.clear()
            if not lanes and not attempts:
                return
            try:
                await self._store.keep(lanes, attempts)
            except psycopg.OperationalError:
                self._lanes = {**lanes, **self._lanes}
                self._attempts.extendleft(reversed(attempts))
                raise

    async def run(self) -> None:
        """Write for ever. Raises Fenced: another process delivers."""
        rounds = 0
        while True:
            await self._some.wait()
            self._some.clear()
            await asyncio.sleep(_EVERY_SECONDS)
            rounds += 1
            try:
                if self._looked and (rounds % _LAZY == 0 or self._lanes):
                    self._lanes, self._looked = {**self._looked, **self._lanes}, {}
                await self.write()
                if rounds % _TIDY == 0:
                    busy, self._busy = self._busy, set()
                    await self._store.forget(sorted(busy))
            except psycopg.OperationalError as error:
                _log.warning("webhooks wait for the database", error=str(error))
                self._some.set()
                await asyncio.sleep(_AWAY_SECONDS)
            if self._looked:
                self._some.set()
