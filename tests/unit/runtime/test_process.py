"""A process ends when it is told to, or when one of its tasks dies, whatever the others do."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.ending import dies, swallows_one_cancellation
from tradingtools.runtime.process import until_stopped


async def test_task_that_swallows_its_cancel_keeps_no_process() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stop.set)
    async with asyncio.timeout(10):
        await until_stopped(stop, swallows_one_cancellation())


async def test_one_that_dies_takes_all_with_it() -> None:
    async with asyncio.timeout(10):
        with pytest.raises(ExceptionGroup) as caught:
            await until_stopped(asyncio.Event(), swallows_one_cancellation(), dies())
    assert caught.group_contains(LookupError)


async def test_a_task_that_returns_is_a_task_that_died() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await until_stopped(asyncio.Event(), asyncio.sleep(0))
    assert caught.group_contains(RuntimeError)
