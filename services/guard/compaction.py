"""Write recorded high-water marks into the rows of their triggers, in the background.

Before it: `high_water_marks`, and at a start the records that another life has left. A kill -9
leaves records: a row whose peak is as high stays as it is, and a record goes when all its peaks are
in their rows or in later records. A row that PostgreSQL refuses to change, or that is locked, holds
up no other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import psycopg
import structlog

from services.guard import store
from services.guard.core.backoff import Backoff
from services.guard.core.trigger import REPORTED_MICROS
from services.guard.trigger_transactions import Writer
from tradingtools import clock
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("guard.folding")
SECONDS = 1.0
"""Between two looks: so far callers see a peak behind the guard, or more where many rise."""
ROWS = 25
"""Of one transaction: an exit of one of them waits for it."""
_PAUSE_SECONDS = 0.01
"""After each: rows have time, and what is under way has the processor and the disk."""
_STEP_MS, _LONGEST_MS = 1_000, 60_000
"""A row that cannot follow is tried again after ever longer pauses."""
_LOCKED = (psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected)
"""OperationalErrors, but the connection is as before: somebody else holds a row for too long."""


Raised = tuple[int, int, int]
"""A peak, where its trigger fires then, and the number of its record."""


@dataclass(slots=True)
class UncompactedPeaks:
    """Records of peaks that are not in their rows yet."""

    seqs: list[int] = field(default_factory=list)
    """Of the records."""
    highest: dict[str, Raised] = field(default_factory=dict)
    """By trigger."""

    def add(self, seq: int, raised: Iterable[tuple[str, int, int]]) -> None:
        """Take a record, in whatever order they come: triggers, peaks, and where they fire."""
        self._join([seq], ((who, (peak, stop, seq)) for who, peak, stop in raised))

    def join(self, other: UncompactedPeaks) -> None:
        """Take those of another."""
        self._join(other.seqs, other.highest.items())

    def _join(self, seqs: Iterable[int], raised: Iterable[tuple[str, Raised]]) -> None:
        self.seqs += seqs
        for trigger_id, found in raised:
            self.highest[trigger_id] = max(found, self.highest.get(trigger_id, found))

    def peaks(self) -> dict[str, int]:
        """Return the highest peak of each trigger."""
        return {trigger_id: peak for trigger_id, (peak, *_) in self.highest.items()}


async def uncompacted(pool: Pool) -> UncompactedPeaks:
    """Return all records."""
    found = UncompactedPeaks()
    for row in await store.fetch(pool, "unfolded_peaks"):
        found.add(row["seq"], zip(row["triggers"], row["peaks"], row["stops"], strict=True))
    return found


class Compaction:
    """Builds the rows of recorded peaks.

    Args:
        pool: of the deciding database.
        writer: whom it lets go first.
    """

    def __init__(self, pool: Pool, writer: Writer) -> None:
        self._pool = pool
        self._writer = writer
        self.waiting = UncompactedPeaks()
        """What the next look folds."""
        self._pauses = Backoff(_STEP_MS, _LONGEST_MS)
        self._stuck: set[str] = set()
        """Triggers whose rows could not follow the last time; each is tried alone."""

    async def fold(self) -> None:
        """Fold what there is. Raises psycopg.Error: it is folded the next time."""
        found, self.waiting = self.waiting, UncompactedPeaks()
        if not found.seqs:
            return
        try:
            # One connection to the end: a server that lost rows with a crash has lost it as well,
            # and then no record of theirs is deleted.
            async with self._pool.connection() as connection:
                left = await self._fold(connection, found)
        except BaseException:
            self.waiting.join(found)
            raise
        self.waiting.join(left)

    async def _fold(self, connection: Connection, found: UncompactedPeaks) -> UncompactedPeaks:
        """Return what is left: the last records of triggers whose rows cannot follow."""
        now_ms = clock.monotonic_ms()
        ready = [who for who in found.highest if not self._pauses.rests(who, now_ms)]
        portions = deque(_portions(ready, self._stuck))
        left = {who: raised for who, raised in found.highest.items() if who in self._stuck}
        while portions:
            some = portions.popleft()
            await self._writer.at_rest()
            try:
                await _follow(connection, {who: found.highest[who] for who in some})
            except psycopg.Error as error:
                if isinstance(error, psycopg.OperationalError) and not isinstance(error, _LOCKED):
                    raise
                if len(some) > 1:
                    portions.extendleft([who] for who in some)
                else:
                    self._cannot(some, error)
                    left.update((who, found.highest[who]) for who in some)
            else:
                self._stuck.difference_update(some)
                self._pauses.succeeded(some)
                for who in some:
                    left.pop(who, None)
            await asyncio.sleep(_PAUSE_SECONDS)
        kept = {seq for *_, seq in left.values()}
        done = [seq for seq in found.seqs if seq not in kept]
        if done:
            await store.fetch_on(connection, "forget_peaks", seqs=done)
        # All peaks of a record that is kept: rows that have followed and are lost with a crash
        # before it goes follow once more.
        again = {who: raised for who, raised in found.highest.items() if raised[2] in kept}
        return UncompactedPeaks(sorted(kept), again)

    def _cannot(self, some: Sequence[str], error: psycopg.Error) -> None:
        """Note a trigger whose row cannot follow; log it once."""
        if not self._stuck.issuperset(some):
            _log.error("a row cannot follow its peak; tried again", trigger=some[0], exc_info=error)
        self._stuck.update(some)
        self._pauses.failed(some, clock.monotonic_ms())


def _portions(trigger_ids: Sequence[str], stuck: Container[str]) -> Iterator[list[str]]:
    """Yield what goes into one transaction each; who was stuck before goes alone."""
    fit = (who for who in trigger_ids if who not in stuck)
    while some := list(islice(fit, ROWS)):
        yield some
    yield from ([who] for who in trigger_ids if who in stuck)


async def _follow(connection: Connection, highest: Mapping[str, Raised]) -> None:
    await store.fetch_on(
        connection,
        "fold_peaks",
        ids=list(highest),
        peaks=[peak for peak, _, _ in highest.values()],
        stops=[stop for _, stop, _ in highest.values()],
        reported_micros=REPORTED_MICROS,
    )
