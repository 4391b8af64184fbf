"""Writes down when a process starts, ends, and loses or finds what it depends on.

The log of events tells it. Written behind the process's work, by a connection of its own that is
opened when there is something to say: nobody waits for it, and a database that is away is tried
again. A kill -9 says nothing; the next start does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
import structlog

from tradingtools.tasks import cancel_all

_INSERT: Final = """
    insert into process_event (process, action, detail)
    select %(process)s, %(action)s, case
        when %(action)s = 'started' and coalesce((
            select action <> 'stopped' from process_event
            where process = %(process)s and action in ('started', 'stopped')
            order by event_seq desc limit 1), false)
        then 'it had ended without a word' else %(detail)s end
"""
_AGAIN_SECONDS: Final = 1.0
_LAST_SECONDS: Final = 1.0
_MAX: Final = 1_000
_log = structlog.get_logger("lifecycle")


class Lifecycle:
    """Log a process's own lifecycle: that it started, became ready, and the like.

    Args:
        process: its name.
        url: of the database.
    """

    def __init__(self, process: str, url: str) -> None:
        self._process = process
        self._url = url
        self._waiting: deque[tuple[str, str]] = deque(maxlen=_MAX)
        self._some = asyncio.Event()
        self._written = asyncio.Event()
        self._away: set[str] = set()

    def say(self, action: str, detail: str = "") -> None:
        """Queue an action to be logged soon."""
        self._waiting.append((action, detail))
        self._written.clear()
        self._some.set()

    def found(self, dependency: str, *, serving: bool) -> None:
        """Note a dependency's state; log it when it has changed."""
        if serving and dependency in self._away:
            self._away.discard(dependency)
            self.say("recovered", dependency)
        elif not serving and dependency not in self._away:
            self._away.add(dependency)
            self.say("degraded", dependency)

    async def flush_logs(self) -> None:
        """Say that the process was told to end, if the database takes it at once."""
        self.say("stopped")
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self._written.wait()
        except TimeoutError:
            _log.warning("the process ends without a word")

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            try:
                await self._write()
            except psycopg.Error as error:
                _log.warning("what a process says is not written yet", error=str(error))
                self._some.set()
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _write(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=10
        ) as connection:
            while self._waiting:
                action, detail = self._waiting[0]
                await connection.execute(
                    _INSERT, {"process": self._process, "action": action, "detail": detail}
                )
                self._waiting.popleft()
        self._written.set()


_present: list[Lifecycle] = []


def found(dependency: str, *, serving: bool) -> None:
    """Take note of a look of the present process, if it says anything."""
    for lifecycle in _present:
        lifecycle.found(dependency, serving=serving)


@asynccontextmanager
async def recorded(process: str, url: str) -> AsyncIterator[None]:
    """Say that a process starts, and behind the block that it was told to end.

    A block that raises says nothing: the next start does.
    """
    made = Lifecycle(process, url)
    made.say("started")
    _present.append(made)
    running = asyncio.create_task(made.run())
    try:
        yield
        await made.flush_logs()
    finally:
        _present.remove(made)
        await cancel_all([running])
