"""Look up orders that have ended: a venue gateway may break its promises.

Before it: `worker`, whose questions and bookings it uses. It has its own, smaller number of
questions at a time, so that the past never delays the present.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import psycopg
import structlog

from services.confirm import store
from services.confirm.core import monitor_schedule
from services.confirm.core.monitor_schedule import Patience
from services.confirm.core.unknown_order_policy import LookupResult
from services.confirm.settings import Settings
from services.confirm.worker import Confirm
from tradingtools import clock
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.venue_order import VenueOrder
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("confirm.watch")
_PAUSE_SECONDS = 0.5
_TOGETHER = 64
"""Orders of one look."""
T = TypeVar("T")


class OrderMonitor:
    """Asks for ended, DEAD and RESURRECTED orders until their time is over.

    Args:
        pool: of the deciding database.
        confirm: who asks and books.
        settings: of the process.
    """

    def __init__(self, pool: Pool, confirm: Confirm, settings: Settings) -> None:
        self._pool = pool
        self._confirm = confirm
        self._few = asyncio.Semaphore(settings.watch_parallel)
        self._patience = Patience(
            ended_ms=settings.watch_ms,
            dead_ms=settings.watch_dead_ms,
            first_ms=settings.watch_first_ms,
            longest_ms=settings.watch_longest_ms,
        )

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            try:
                checked = await self.poll()
            except psycopg.OperationalError as error:
                _log.warning("cannot watch ended orders", error=str(error))
                checked = 0
            if not checked:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def poll(self) -> int:
        """Ask for those that are due, a few at a time; returns how many.

        None while open orders wait to be asked for: they share the venue gateway and the processor.
        """
        if self._confirm.behind:
            return 0
        rows = await store.fetch(
            self._pool, "watched", limit=_TOGETHER, first_ms=self._patience.first_ms
        )
        ended = {row["order_key"]: row for row in rows}
        answers = await _each(ended, self._look_up)
        found = {
            key: order
            for key, (poll, order) in answers.items()
            if poll is LookupResult.FOUND and order is not None
        }
        # Nearly all is as it was, and costs two statements together, not each.
        new = await store.news(self._pool, ended, found)
        taken = await _each(new, lambda key: self._confirm.take(key, new[key]))
        await self._again(
            row
            for key, row in ended.items()
            if key not in taken or taken[key].state is taken[key].before
        )
        return len(rows)

    async def _look_up(self, key: str) -> tuple[LookupResult, VenueOrder | None]:
        async with self._few:
            return await self._confirm.look_up(key)

    async def _again(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Ask for them again when it is time, or never."""
        promised = self._confirm.capabilities
        longest = promised.longest_processing_ms if promised is not None else 0
        now_ms = clock.now_ms()
        later = []
        for row in rows:
            state, horizon_ms = OrderState(row["state"]), row["not_after_ms"] + longest
            pause = monitor_schedule.next_check_ms(
                state, row["since_ms"], horizon_ms, now_ms, self._patience
            )
            if pause is None:
                where = {name: row[name] for name in ("order_key", "state", "epoch")}
                await store.execute(self._pool, "stop_watching", **where)
            else:
                later.append(store.later(row, pause, row["not_found_count"]))
        await store.postpone(self._pool, *later)


async def _each(keys: Collection[str], work: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    """Do something for each order at once; what became of those for which it could be done.

    Raises:
        psycopg.OperationalError: the database went away.
        Fenced: somebody else books now.
    """
    done: dict[str, T] = {}
    results = await asyncio.gather(*(work(key) for key in keys), return_exceptions=True)
    for key, result in zip(keys, results, strict=True):
        if not isinstance(result, BaseException):
            done[key] = result
        elif isinstance(result, Fenced | psycopg.OperationalError) or not isinstance(
            result, Exception
        ):
            raise result
        else:
            # One order must not end the watch of others.
            _log.error("an ended order cannot be judged; a person has to look",
                       order=key, exc_info=result)  # fmt: skip
    return done
