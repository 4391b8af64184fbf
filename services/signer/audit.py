"""Write each signature down before it leaves, all that wait in one statement.

The same statement judges whether the engine holds the wallet: what is not written is not signed.
While PostgreSQL is away, what reads or ends orders is written to the signer's own disk instead
(`spool`), for the engine that was judged last to hold the wallet; nothing else is signed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from uuid import UUID, uuid4

import psycopg
import structlog

from services.signer.spool import Spool
from services.signer.store import Entry, Spooled, Store
from tradingtools import clock
from tradingtools.domain.errors import LimitReached

AWAY_SECONDS = 1.0
"""What reads or ends orders waits for PostgreSQL for so long."""
_log = structlog.get_logger("signer")
_MAX_WAITING = 20_000
_MAX_HELD = 10_000
_BATCH = 1_000
_Holder = tuple[str, int, int]
"""Engine, epoch of its lease, edition of the credentials."""
_Asked = tuple[Entry, UUID | None, asyncio.Future[bool]]
"""What is asked for, its id where it may be spooled, and who waits."""


class Audit:
    """Takes entries and says which may be signed.

    Args:
        store: writes them.
        spool: takes what may leave while the store is away.
    """

    def __init__(self, store: Store, spool: Spool) -> None:
        self._store = store
        self._spool = spool
        self._waiting: deque[_Asked] = deque()
        self._some = asyncio.Event()
        self._held: OrderedDict[str, _Holder] = OrderedDict()
        """By wallet, who was judged last to hold it."""
        self._away = False

    async def write(self, entry: Entry) -> bool:
        """Return whether the entry is durable, and so may be signed.

        Raises:
            LimitReached: too many wait.
            OSError: the disk does not take it.
            psycopg.Error: it may be written or not; nothing is signed.
        """
        if not entry.opens_nothing or self._held.get(entry.wallet) != _holder(entry):
            return await self._ask(entry, None)
        # What is not answered in time may be written all the same: its id keeps it from two rows.
        spooled = Spooled(id=uuid4(), signed_ms=clock.now_ms(), entry=entry)
        if self._away:
            await self._spool.add([spooled])
            return True
        reported = self._ask(entry, spooled.id)
        await asyncio.wait([reported], timeout=AWAY_SECONDS)
        if reported.done() and not isinstance(reported.exception(), psycopg.OperationalError):
            return reported.result()
        self._away = True
        reported.cancel()
        await self._spool.add([spooled])
        return True

    def _ask(self, entry: Entry, spool_id: UUID | None) -> asyncio.Future[bool]:
        if len(self._waiting) >= _MAX_WAITING:
            raise LimitReached("too many signatures wait", retry_after_ms="1000")
        reported: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, spool_id, reported))
        self._some.set()
        return reported

    async def run(self) -> None:
        """Write batches for ever."""
        while True:
            await self._some.wait()
            taken = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            if not self._waiting:
                self._some.clear()
            batch = [one for one in taken if not one[2].done()]
            if batch:
                await self._write(batch)

    async def keep_booking(self) -> None:
        """Book for ever what left while PostgreSQL was away; what comes then goes there again."""
        while True:
            await asyncio.sleep(AWAY_SECONDS)
            if not (self._away or self._spool.waiting):
                continue
            try:
                await self._store.answers()
                await self._spool.book(self._store)
                self._away = False
            except psycopg.OperationalError as error:
                _log.warning("signatures wait to be booked", why=str(error))

    async def _write(self, batch: list[_Asked]) -> None:
        try:
            allowed = await self._store.sign(
                [entry for entry, _, _ in batch], [spool_id for _, spool_id, _ in batch]
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was signed
            # Each asker is told, and the next batch may find the database again.
            for _, _, reported in batch:
                if not reported.done():
                    reported.set_exception(error)
            return
        for number, (entry, _, reported) in enumerate(batch):
            self._note(entry, allowed=number in allowed)
            if not reported.done():
                reported.set_result(number in allowed)

    def _note(self, entry: Entry, *, allowed: bool) -> None:
        if allowed:
            self._held[entry.wallet] = _holder(entry)
            self._held.move_to_end(entry.wallet)
            if len(self._held) > _MAX_HELD:
                self._held.popitem(last=False)
        elif self._held.get(entry.wallet) == _holder(entry):
            del self._held[entry.wallet]


def _holder(entry: Entry) -> _Holder:
    return entry.engine, entry.epoch, entry.edition
