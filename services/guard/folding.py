"""Turning records of peaks into rows, behind everything: what callers read, and the history.

Before it: `peaks`, and at a start the records that another life has left. A kill -9 leaves records:
a row whose peak is as high stays as it is, and a record goes when all its peaks are in their rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from services.guard import store
from services.guard.core.trigger import TOLD_MICROS
from services.guard.writing import Writer
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.adapters.postgres.prompt import Connection

SECONDS = 1.0
"""Between two looks: so far callers see a peak behind the guard, or more where many rise."""
ROWS = 25
"""Of one transaction: an exit of one of them waits for it."""
_PAUSE_SECONDS = 0.01
"""After each: rows have time, and what is under way has the processor and the disk."""


Raised = tuple[int, int]
"""A peak, and where its trigger fires then."""


@dataclass(slots=True)
class Unfolded:
    """Records of peaks that are not in their rows yet."""

    seqs: list[int] = field(default_factory=list)
    """Of the records."""
    highest: dict[str, Raised] = field(default_factory=dict)
    """By trigger."""

    def add(self, seqs: Iterable[int], raised: Iterable[tuple[str, Raised]]) -> None:
        """Take records, in whatever order they come."""
        self.seqs += seqs
        for trigger_id, found in raised:
            self.highest[trigger_id] = max(found, self.highest.get(trigger_id, found))

    def join(self, other: Unfolded) -> None:
        """Take those of another."""
        self.add(other.seqs, other.highest.items())

    def peaks(self) -> dict[str, int]:
        """By trigger, the highest one."""
        return {trigger_id: peak for trigger_id, (peak, _) in self.highest.items()}


async def unfolded(pool: Pool) -> Unfolded:
    """All records."""
    found = Unfolded()
    for row in await store.fetch(pool, "unfolded_peaks"):
        raised = zip(row["peaks"], row["stops"], strict=True)
        found.add([row["seq"]], zip(row["triggers"], raised, strict=True))
    return found


class Folding:
    """Builds the rows of recorded peaks.

    Args:
        pool: of the deciding database.
        writer: whom it lets go first.
    """

    def __init__(self, pool: Pool, writer: Writer) -> None:
        self._pool = pool
        self._writer = writer
        self.waiting = Unfolded()
        """What the next look folds."""

    async def fold(self) -> None:
        """Fold what there is. Raises psycopg.Error: it is folded the next time."""
        found, self.waiting = self.waiting, Unfolded()
        if not found.seqs:
            return
        try:
            # One connection to the end: a server that lost rows with a crash has lost it as well,
            # and then no record of theirs is deleted.
            async with self._pool.connection() as connection:
                await self._fold(connection, found)
        except BaseException:
            self.waiting.join(found)
            raise

    async def _fold(self, connection: Connection, found: Unfolded) -> None:
        left = iter(found.highest.items())
        while some := list(islice(left, ROWS)):
            await self._writer.at_rest()
            await store.ask_on(
                connection,
                "fold_peaks",
                ids=[trigger_id for trigger_id, _ in some],
                peaks=[peak for _, (peak, _) in some],
                stops=[stop for _, (_, stop) in some],
                told_micros=TOLD_MICROS,
            )
            await asyncio.sleep(_PAUSE_SECONDS)
        await store.ask_on(connection, "forget_peaks", seqs=found.seqs)
