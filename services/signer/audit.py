"""Write each signature down before it leaves, all that wait in one statement.

The same statement judges whether the engine holds the wallet: what is not written is not signed.
"""

from __future__ import annotations

import asyncio
from collections import deque

from services.signer.store import Entry, Store
from tradingtools.domain.errors import LimitReached

_MOST_WAITING = 20_000
_BATCH = 1_000


class Audit:
    """Takes entries and says which may be signed.

    Args:
        store: writes them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[tuple[Entry, asyncio.Future[bool]]] = deque()
        self._some = asyncio.Event()

    async def write(self, entry: Entry) -> bool:
        """Return whether the entry is durable, and so may be signed.

        Raises:
            LimitReached: too many wait.
            psycopg.Error: it may be written or not; nothing is signed.
        """
        if len(self._waiting) >= _MOST_WAITING:
            raise LimitReached("too many signatures wait", retry_after_ms="1000")
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, told))
        self._some.set()
        return await told

    async def run(self) -> None:
        """Write batches for ever."""
        while True:
            await self._some.wait()
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            if not self._waiting:
                self._some.clear()
            await self._write(batch)

    async def _write(self, batch: list[tuple[Entry, asyncio.Future[bool]]]) -> None:
        try:
            allowed = await self._store.sign([entry for entry, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was signed
            # Each asker is told, and the next batch may find the database again.
            for _, told in batch:
                if not told.done():
                    told.set_exception(error)
            return
        for number, (_, told) in enumerate(batch):
            if not told.done():
                told.set_result(number in allowed)
