"""Ending what runs beside others."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

_AGAIN_SECONDS = 0.5


async def cancel_all(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel until all have ended, also when the caller is cancelled meanwhile.

    Once is not enough: a cancellation that meets a breaking connection to the database comes out
    as the connection's error, and whoever waits for the database tries again.

    Raises:
        CancelledError: the caller was cancelled meanwhile; all have ended.
    """
    known = list(tasks)
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in known if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def until_one_ends(*works: Awaitable[None]) -> None:
    """Run several at the same time, until the first one ends; it ends the others.

    Unlike a group of asyncio's it cancels until they have ended.

    Raises:
        Exception: what the first one died of; of several, the one that is named first.
    """
    running = [asyncio.ensure_future(work) for work in works]
    try:
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        await next(work for work in running if work in ended)
    finally:
        await cancel_all(running)


@asynccontextmanager
async def run_in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have something run for the length of the block.

    Raises:
        Exception: what it died of, when the block ends and is not cancelled.
    """
    running = asyncio.ensure_future(work)
    try:
        yield
    finally:
        ended_by = sys.exception()
        await cancel_all([running])
        died_of = None if running.cancelled() else running.exception()
        # In the place of a cancellation it would keep its caller running.
        if died_of is not None and not isinstance(ended_by, asyncio.CancelledError):
            raise died_of
