"""Tasks that end as tasks do when something breaks."""

from __future__ import annotations

import asyncio


async def swallows_one_cancellation() -> None:
    """As a statement does whose connection breaks while it is being cancelled."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def dies() -> None:
    """End with an error, at once."""
    await asyncio.sleep(0)
    raise LookupError("died")
