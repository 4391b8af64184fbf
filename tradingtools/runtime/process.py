"""Start, run and end a process.

Each ``__main__`` is one call of :func:`main`. A process that cannot start says why in one line and
exits with 2; a task that dies ends the process with 1, so that the supervisor restarts it; SIGTERM
and SIGINT end it cleanly with 0.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol, TypeVar

import structlog
import uvloop

from tradingtools.rpc import callers, tls
from tradingtools.runtime import lifecycle, telemetry
from tradingtools.settings import SettingError, SharedSettings, load
from tradingtools.storage.postgres.rights import RIGHTS
from tradingtools.tasks import cancel_all


class HasShared(Protocol):
    """Settings of a process: its own fields and the shared ones."""

    @property
    def shared(self) -> SharedSettings:
        """Return the shared settings."""


S = TypeVar("S", bound=HasShared)


def main(
    name: str,
    kind: type[S],
    run: Callable[[S, asyncio.Event], Awaitable[None]],
    *,
    says: bool = True,
) -> None:
    """Load settings, set up TLS and telemetry, run until told to stop, exit.

    Args:
        name: the process's name in lower case.
        kind: its settings dataclass.
        run: does the work until the event is set; raising ends the process.
        says: that it starts and ends, in the log of events.
    """
    try:
        settings = load(kind, name)
        tls.use(settings.shared)
        callers.use(settings.shared)
        telemetry.configure(name, settings.shared)
    except SettingError as error:
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(2) from None
    try:
        try:
            uvloop.run(_run(name, settings, run, says=says))
        finally:
            telemetry.flush_logs()
    except (Startup, SettingError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(2) from None
    # Only here: whoever died is started afresh, and orders wait for that.
    telemetry.flush()


class Startup(Exception):
    """The process cannot start; the message is one line that names the cause."""


async def _run(
    name: str,
    settings: S,
    run: Callable[[S, asyncio.Event], Awaitable[None]],
    *,
    says: bool,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = structlog.get_logger(name)
    # What is alive after start lives as long as the process.
    gc.collect()
    gc.freeze()
    try:
        async with _lifecycle(name if says else "", settings.shared):
            await run(settings, stop)
    except (Startup, SettingError):
        raise
    except BaseException:
        if stop.is_set():
            log.warning("error while stopping", exc_info=True)
            return
        log.error("a task died; the process ends so that it is started afresh", exc_info=True)
        raise SystemExit(1) from None


def _lifecycle(name: str, shared: SharedSettings) -> AbstractAsyncContextManager[None]:
    """Of a process of the engine, that starts and ends are written down."""
    if name in RIGHTS and shared.database_url:
        return lifecycle.recorded(name, shared.database_url)
    return nullcontext()


async def until_stopped(stop: asyncio.Event, *tasks: Awaitable[None]) -> None:
    """Run tasks until ``stop``; the first one that dies takes all with it.

    A task that returns is a task that died: everything here runs for ever.

    Raises:
        ExceptionGroup: what the tasks died of.
    """

    async def forever(work: Awaitable[None]) -> None:
        await work
        if not stop.is_set():
            raise RuntimeError("a task that should run for ever has returned")

    running = [asyncio.ensure_future(forever(task)) for task in tasks]
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all([stopping, *running])
    died = [task.exception() for task in running if not task.cancelled()]
    errors = [error for error in died if isinstance(error, Exception)]
    if errors:
        raise ExceptionGroup("tasks died", errors)
