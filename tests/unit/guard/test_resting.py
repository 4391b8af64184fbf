"""Test that what can wait lets the exit that is under way go first, and no stuck one keeps it for
ever."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from services.guard import trigger_transactions
from services.guard.claiming import Claims
from services.guard.trigger_cache import TriggerCache
from services.guard.trigger_transactions import Writer
from tradingtools.storage.postgres.pool import Pool


class Away(Exception):
    """The transaction ends."""


class Lent:
    """A pool whose only connection is lent until it is told to end."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.end = asyncio.Event()

    def connection(self) -> Lent:
        return self

    async def __aenter__(self) -> None:
        self.requested.set()
        await self.end.wait()
        raise Away

    async def __aexit__(self, *_: object) -> None: ...


async def test_what_can_wait_goes_after_the_exit_that_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trigger_transactions, "_REST_SECONDS", 60.0)
    pool = Lent()
    writer = Writer(cast(Pool, pool), TriggerCache(0, 1), cast(Claims, None))
    exiting = asyncio.create_task(writer.learn(["a"]))
    await pool.requested.wait()
    resting = asyncio.create_task(writer.at_rest())
    await asyncio.sleep(0.01)
    assert not resting.done()
    pool.end.set()
    async with asyncio.timeout(10):
        await resting
    with pytest.raises(Away):
        await exiting


async def test_an_exit_that_is_stuck_keeps_nobody() -> None:
    pool = Lent()
    writer = Writer(cast(Pool, pool), TriggerCache(0, 1), cast(Claims, None))
    exiting = asyncio.create_task(writer.learn(["a"]))
    await pool.requested.wait()
    async with asyncio.timeout(10):
        await writer.at_rest()
    assert not exiting.done()
    pool.end.set()
    with pytest.raises(Away):
        await exiting
