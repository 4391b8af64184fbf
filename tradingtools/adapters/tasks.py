"""Ending what runs beside others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

_AGAIN_SECONDS = 0.5


async def cancel_all(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel until all have ended, also when the caller is cancelled once more meanwhile.

    Once is not enough: a cancellation that meets a breaking connection to the database comes out
    as the connection's error, and whoever waits for the database tries again.
    """
    known = list(tasks)
    while pending := [task for task in known if not task.done()]:
        for task in pending:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
