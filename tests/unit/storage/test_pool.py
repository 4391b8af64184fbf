"""A pool that checks its connections ends, whatever becomes of its database meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from psycopg_pool.base import AttemptWithBackoff

from tradingtools import tasks
from tradingtools.storage.postgres import pool


class _Breaking:
    """A pool whose check takes a first cancellation for the error of a connection."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.swallowed = 0

    async def check(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.swallowed += 1
            if self.swallowed > 1:
                raise


@pytest.mark.timeout(60)
async def test_a_check_that_swallows_a_cancellation_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A router whose lease had run out while its database died stayed for ever, doing nothing.
    monkeypatch.setattr(pool, "_CHECK_SECONDS", 0)
    monkeypatch.setattr(tasks, "_AGAIN_SECONDS", 0.01)
    breaking = _Breaking()
    checking = asyncio.ensure_future(pool._check(cast(Any, breaking)))
    await breaking.started.wait()
    await tasks.cancel_all([checking])
    assert (checking.cancelled(), breaking.swallowed) == (True, 2)


def test_a_pool_does_not_sleep_over_a_database_that_is_back() -> None:
    # The library's own pauses double: after half a minute away it slept for as long again.
    attempt, pauses = AttemptWithBackoff(timeout=300), []
    for _ in range(200):
        attempt.update_delay(0)
        pauses.append(attempt.delay)
    assert max(pauses) < 0.5
