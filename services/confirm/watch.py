"""Orders that the engine is done with, asked for again: a far side may break its promises.

Before it: `worker`, whose questions and bookings it uses. It has its own, smaller number of
questions at a time, so that the past never delays the present.
"""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import structlog

from services.confirm import store
from services.confirm.core import watching
from services.confirm.core.fate import Look
from services.confirm.core.watching import Patience
from services.confirm.settings import Settings
from services.confirm.worker import Confirm
from tradingtools.adapters import clock
from tradingtools.adapters.postgres.lease import Fenced
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.venue_order import VenueOrder

_log = structlog.get_logger("confirm.watch")
_PAUSE_SECONDS = 0.5


class Watch:
    """Asks for ended, DEAD and RESURRECTED orders until their time is over.

    Args:
        pool: of the deciding database.
        confirm: who asks and books.
        settings: of the process.
    """

    def __init__(self, pool: Pool, confirm: Confirm, settings: Settings) -> None:
        self._pool = pool
        self._confirm = confirm
        self._limit = settings.watch_parallel
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
                asked = await self.look()
            except psycopg.OperationalError as error:
                _log.warning("cannot watch ended orders", error=str(error))
                asked = 0
            if not asked:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def look(self) -> int:
        """Ask for those that are due, a few at a time; returns how many.

        None while open orders wait to be asked for: they share the far side and the processor.
        """
        if self._confirm.behind:
            return 0
        rows = await store.fetch(
            self._pool, "watched", limit=self._limit, first_ms=self._patience.first_ms
        )
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(self._look(row))
        return len(rows)

    async def _look(self, row: dict[str, Any]) -> None:
        try:
            look, order = await self._confirm.ask(row["order_key"])
            if look is Look.FOUND and order is not None and await self._moved(row, order):
                return
            await self._again(row)
        except psycopg.OperationalError as error:
            _log.warning("not watched; asked again", order=row["order_key"], error=str(error))
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - one order must not end the watch of others
            _log.error("an ended order cannot be judged; a person has to look",
                       order=row["order_key"], exc_info=error)  # fmt: skip
            await self._again(row)

    async def _moved(self, row: dict[str, Any], order: VenueOrder) -> bool:
        if await store.tells_nothing_new(self._pool, row, order):
            return False
        taken = await self._confirm.take(row["order_key"], order)
        return taken.state is not taken.before

    async def _again(self, row: dict[str, Any]) -> None:
        promised = self._confirm.capabilities
        longest = promised.longest_processing_ms if promised is not None else 0
        pause = watching.next_ask_ms(
            OrderState(row["state"]),
            row["since_ms"],
            row["not_after_ms"] + longest,
            clock.now_ms(),
            self._patience,
        )
        if pause is None:
            where = {name: row[name] for name in ("order_key", "state", "epoch")}
            await store.execute(self._pool, "stop_watching", **where)
        else:
            await store.postpone(self._pool, row, pause, row["not_found_count"])
