"""Move trailing stops: record peaks in one task, evaluate raised stops in another.

Before it: `worker`, whose books show peaks. `high_water_marks` records them; whom they have raised
is judged here, on the newest books. Recording waits for no judging: a crowd of stops that fires at
once keeps the peaks of no other asset from being known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

import psycopg
import structlog

from services.guard.core.batches import PATIENT
from services.guard.core.book_quality import is_bad
from services.guard.core.trigger import LotKey
from services.guard.evaluation import Candidate, Evaluator
from services.guard.high_water_marks import HighWaterMarks
from services.guard.trigger_cache import TriggerCache
from services.guard.trigger_transactions import Writer
from tradingtools.runtime.books import Books
from tradingtools.tasks import until_one_ends

_log = structlog.get_logger("guard.rising")
_POLL_SECONDS = 0.25
"""While peaks were refused that are left alone as yet."""


class TrailingStops:
    """Has peaks recorded, and judges whom they raise.

    Args:
        known: the triggers as they are committed.
        books: newest books.
        peaks: that were seen.
        verdicts: judges.
        writer: reads what is committed.
    """

    def __init__(
        self,
        known: TriggerCache,
        books: Books,
        peaks: HighWaterMarks,
        verdicts: Evaluator,
        writer: Writer,
    ) -> None:
        self._cache = known
        self._books = books
        self._peaks = peaks
        self._evaluator = verdicts
        self._writer = writer
        self._raised: set[str] = set()
        """Assets whose stops have risen since they were judged."""
        self._recorded = asyncio.Event()

    async def keep(self) -> None:
        """Record new peaks as they are seen, and judge, for ever."""
        await until_one_ends(self._keep_recording(), self._keep_judging())

    async def _keep_recording(self) -> None:
        while True:
            await self._peaks.wait()
            # Once, and not before each record: behind a crowd that fires a rise is soon known, too.
            await self._writer.at_rest()
            await self.record()

    async def _keep_judging(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS if self._peaks.any_refused else None):
                    await self._recorded.wait()
            await self.judge()

    async def record(self) -> None:
        """Record the new peaks that were seen."""
        while found := self._peaks.take():
            await self._peaks.record(found)
            self._raised.update(trigger.asset_id for trigger, _ in found)
            self._recorded.set()

    async def judge(self) -> None:
        """Judge who is reached by recorded peaks; then some that were refused, on what they are."""
        self._recorded.clear()
        raised, self._raised = self._raised, set()
        await self._evaluator.judge(self._reached(raised))
        # Some at a time: exits wait for it, and so does who is raised meanwhile.
        if refused := self._peaks.to_learn(PATIENT):
            keys = await self._learn(refused)
            self._peaks.learned(refused)
            self._recorded.set()
            await self._evaluator.judge(self._beside(keys))

    def _reached(self, asset_ids: Iterable[str]) -> list[Candidate]:
        """Return who may fire on the newest books of stops that have risen."""
        books = filter(None, map(self._books.known, sorted(asset_ids)))
        good = [book for book in books if not is_bad(book)]
        return [(trigger.id, book) for book in good for trigger in self._cache.beside_firing(book)]

    def _beside(self, keys: Iterable[LotKey]) -> list[Candidate]:
        """Return all of some lots, on their newest books."""
        found = [trigger for key in sorted(keys) for trigger in self._cache.of_lot(key)]
        books = [(trigger.id, self._books.known(trigger.asset_id)) for trigger in found]
        return [(who, book) for who, book in books if book is not None and not is_bad(book)]

    async def _learn(self, trigger_ids: Sequence[str]) -> set[LotKey]:
        """Know triggers as they are, each alone when one of them cannot be read; their lots."""
        try:
            return set(await self._writer.learn(trigger_ids))
        except (psycopg.Error, LookupError) as error:
            if len(trigger_ids) > 1 and not isinstance(error, psycopg.OperationalError):
                return {key for one in trigger_ids for key in await self._learn([one])}
            _log.warning("peaks not recorded; judged again soon", error=str(error).strip())
            self._writer.schedule_soon(trigger_ids)
            return set()
