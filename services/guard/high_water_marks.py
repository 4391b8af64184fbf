"""Record new high-water marks of trailing stops, many in one record.

Before it: `worker`, which says which books have come. After it: memory, which learns of a peak once
its record is committed, and the rows, which are folded from the records in their own time. A start
reads the records that are not folded yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import psycopg
import structlog

from services.guard import compaction, store
from services.guard.compaction import Compaction, UncompactedPeaks
from services.guard.core.backoff import Backoff
from services.guard.core.index import NewPeak
from services.guard.core.trigger import Trigger, lot_of, stop_below
from services.guard.trigger_cache import TriggerCache
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.runtime import instruments
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.direct import Value
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("guard.peaks")
_together = instruments.Histogram(
    "peaks_together", "trailing stops of one record", bounds=instruments.COUNTS
)
MAX = 200
"""Peaks of one record."""
_RECORDED_AT_ONCE = 10
"""Peaks of which memory learns in one turn of the loop: a tenth of a millisecond."""
_PAUSE_SECONDS = 1.0
"""After a record that the database does not take."""
_STEP_MS, _LONGEST_MS = 250, 8_000
"""Whom records do not take again and again is learned after ever longer pauses: it is read under
lock, and a server that was restored from behind never has what memory has."""

Peak = tuple[Trigger, NewPeak]
"""A trailing stop as memory has it, and what it has seen."""


class HighWaterMarks:
    """High-water marks of trailing stops that no record has yet.

    Args:
        pool: for the records; not the one that exits wait for.
        known: the triggers as they are committed.
        lease: of the guard's partition.
        rows: follow the records.
    """

    def __init__(self, pool: Pool, known: TriggerCache, lease: Lease, rows: Compaction) -> None:
        self._pool = pool
        self._cache = known
        self._lease = lease
        self._rows = rows
        self._seen: dict[str, NewPeak] = {}
        """By trigger, the highest."""
        self._refused: dict[str, None] = {}
        """Triggers that are not as memory has them: they are recorded once they are learned."""
        self._pauses = Backoff(_STEP_MS, _LONGEST_MS)
        self._any = asyncio.Event()
        self._records = 0

    def see(self, book: Book) -> None:
        """Remember the new peaks that a book shows."""
        for risen in self._cache.new_peaks(book):
            trigger_id, peak, size = risen
            _, highest, before = self._seen.get(trigger_id, (trigger_id, 0, size))
            if size != before or peak > highest:
                self._seen[trigger_id] = risen
                self._any.set()

    def _put_back(self, risen: NewPeak) -> None:
        """Remember what no record has taken; by another size more was seen later."""
        trigger_id, peak, size = risen
        _, highest, present = self._seen.get(trigger_id, (trigger_id, 0, size))
        if size == present and peak > highest:
            self._seen[trigger_id] = risen

    async def wait(self) -> None:
        """Wait until a book has shown a new peak."""
        await self._any.wait()

    def take(self) -> list[Peak]:
        """Return those that are still new: what goes into the next record, and is not asked for
        again."""
        found: list[Peak] = []
        # Who was seen first goes first: more may come than a record takes.
        ready = (trigger_id for trigger_id in self._seen if trigger_id not in self._refused)
        some = list(islice(ready, MAX))
        for trigger_id in some:
            risen = self._seen.pop(trigger_id)
            trigger = self._cache.get(trigger_id)
            if trigger is not None and self._cache.rises(risen):
                found.append((trigger, risen))
        if len(some) < MAX:
            self._any.clear()
        return found

    @property
    def any_refused(self) -> bool:
        """Return whether there are some to be learned, sooner or later."""
        return bool(self._refused)

    def to_learn(self, most: int) -> list[str]:
        """Return triggers that records did not take and whose pause is over."""
        now_ms = clock.monotonic_ms()
        due = (who for who in self._refused if not self._pauses.rests(who, now_ms))
        return list(islice(due, most))

    def learned(self, trigger_ids: Iterable[str]) -> None:
        """Note that memory has them as they are: their peaks may be recorded."""
        for trigger_id in trigger_ids:
            self._refused.pop(trigger_id, None)
        self._any.set()

    async def record(self, peaks: Sequence[Peak]) -> None:
        """Record new peaks; memory learns of them then, and of all others that are recorded. Those
        of triggers that are not as memory has them, or whose lots are not, are not recorded, but
        seen as before: they were there, and no later book may show them again.

        Raises:
            Fenced: the lease is not valid any more.
        """
        refused = await self._record(peaks)
        self._pauses.succeeded(trigger.id for trigger, _ in peaks if trigger.id not in refused)
        self._pauses.failed(refused, clock.monotonic_ms())
        self._refused.update(dict.fromkeys(refused))
        for trigger, risen in peaks:
            if trigger.id in refused:
                self._put_back(risen)

    async def _record(self, peaks: Sequence[Peak]) -> set[str]:
        """Return whose peaks are not recorded, or may not be."""
        self._records += 1
        values = self._values(f"{self._lease.epoch}:{self._records}", peaks)
        found = {trigger.id: peak for trigger, (_, peak, _) in peaks}
        try:
            seq, refused = await self._insert(values)
        except psycopg.Error as error:
            await self._get_over(error, values)
            return set(found)
        stops = {trigger.id: stop_below(trigger, found[trigger.id]) for trigger, _ in peaks}
        for trigger_id in refused:
            del found[trigger_id], stops[trigger_id]
        await self._record_all(found)
        if seq is not None:
            raised = ((who, peak, stops[who]) for who, peak in found.items())
            self._rows.waiting.add(seq, raised)
        _together.observe(len(found))
        return refused

    async def _get_over(self, error: psycopg.Error, values: Mapping[str, Value]) -> None:
        """Recover from a record that failed: learn what is recorded, and give the database time."""
        if isinstance(error, psycopg.OperationalError):
            _log.warning("it is not known whether peaks are recorded", error=str(error).strip())
            try:
                # The same record: whichever of the two comes first, the other changes nothing.
                await while_database_is_away(lambda: self._insert(values))
            except psycopg.Error as refusal:
                # The first one may be there all the same.
                await self._pause(refusal)
            await self.put(await self._recorded())
        else:
            await self._pause(error)

    async def _recorded(self) -> UncompactedPeaks:
        """Return all records, as soon as the database tells: a stop that has risen without being
        known to would fire later than it should. Exits wait for nothing of this."""
        while True:
            try:
                return await while_database_is_away(lambda: compaction.uncompacted(self._pool))
            except psycopg.Error as error:
                await self._pause(error)

    async def _pause(self, error: psycopg.Error) -> None:
        _log.error("peaks cannot be recorded; tried again soon", exc_info=error)
        await asyncio.sleep(_PAUSE_SECONDS)

    async def _record_all(self, peaks: Mapping[str, int]) -> None:
        """Have memory learn of recorded peaks, some at a time: whoever fires does not wait."""
        left = iter(peaks.items())
        while some := dict(islice(left, _RECORDED_AT_ONCE)):
            self._cache.put_peaks(some)
            await asyncio.sleep(0)

    async def put(self, recorded: UncompactedPeaks) -> None:
        """Take over records that are not folded."""
        await self._record_all(recorded.peaks())
        self._rows.waiting.join(recorded)

    async def _insert(self, values: Mapping[str, Value]) -> tuple[int | None, set[str]]:
        """Return the record's number, None when there is none; whose peaks it does not have."""
        try:
            (row,) = await store.fetch_alone(self._pool, "record_peaks", **values)
        except psycopg.Error as error:
            journal.check_refusal(error)
            raise
        return row["seq"], set(row["refused"])

    def _values(self, number: str, peaks: Sequence[Peak]) -> dict[str, Value]:
        return {
            "record_key": f"guard:{self._lease.partition}:{number}",
            "partition": self._lease.partition,
            "epoch": self._lease.epoch,
            "ids": [trigger.id for trigger, _ in peaks],
            "versions": [trigger.version for trigger, _ in peaks],
            "shares": [self._cache.shares(lot_of(trigger)) for trigger, _ in peaks],
            "peaks": [peak for _, (_, peak, _) in peaks],
            "stops": [stop_below(trigger, peak) for trigger, (_, peak, _) in peaks],
        }
