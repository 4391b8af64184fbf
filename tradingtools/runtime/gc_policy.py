"""Python's search for cycles, kept away from who must not stand still.

A search visits all that is young, a millisecond for a thousand objects, in the middle of whatever
is under way; a full one visits everything. What is frozen is visited by none, and freed as always
once nobody refers to it: only a cycle that nobody refers to stays, until the full search that comes
a few times a day, or once memory has grown (docs/adr/0040-memory-of-the-guard.md).

Before it: a process that has much to load and much to keep. After it: nobody.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tradingtools import clock

_FREEZE_SECONDS = 1.0
_FREEZINGS = 60
"""Between two looks whether a full search is due: each takes half a millisecond."""
_SEARCH_SECONDS = 6 * 3600.0
"""Between two full searches: each stops a guard of 100,000 triggers for a quarter of a second."""
_GROWN = 1.5
"""So many times what was there after the last full search bring the next one: libraries leave
cycles while a server is away, half a megabyte a second."""
_NEW_OBJECTS = 100_000
"""Kept within a second, they are searched all the same."""


@contextmanager
def unsearched() -> Iterator[None]:
    """Load within this block what the process is going to keep: no search visits it, not while it
    grows, when there is nothing to be found, and not later."""
    if not _of_its_own():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_NEW_OBJECTS)
        gc.enable()


async def keep_away() -> None:
    """Have no search visit what is kept from now on, for ever, but for the full ones."""
    if not _of_its_own():
        await asyncio.Event().wait()
    searched, blocks = clock.monotonic(), sys.getallocatedblocks()
    while True:
        for _ in range(_FREEZINGS):
            await asyncio.sleep(_FREEZE_SECONDS)
            gc.freeze()
        grown = sys.getallocatedblocks() > _GROWN * blocks
        if grown or clock.monotonic() - searched >= _SEARCH_SECONDS:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            searched, blocks = clock.monotonic(), sys.getallocatedblocks()


def _of_its_own() -> bool:
    """Return whether `process` has started this one, and not a test that outlives what it runs."""
    return gc.get_freeze_count() > 0
