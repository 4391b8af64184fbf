"""Test that what runs beside others ends with them, and no cancellation is lost on the way."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.ending import dies, swallows_one_cancellation
from tradingtools.tasks import cancel_all, run_in_background, until_one_ends


class _Slow:
    """It takes its time to end, as the closing of a connection does."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.may_end = asyncio.Event()

    async def work(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ending.set()
            while not self.may_end.is_set():
                try:
                    await self.may_end.wait()
                except asyncio.CancelledError:
                    continue


async def _connecting(slow: _Slow) -> None:
    """For ever, but for a test's patience."""
    for _ in range(3):
        try:
            async with run_in_background(slow.work()):
                await asyncio.sleep(0)
                raise ConnectionError
        except ConnectionError:
            await asyncio.sleep(0)


async def test_who_is_cancelled_while_what_ran_alongside_ends_does_end() -> None:
    slow = _Slow()
    # Its group tells it once, and waits for it.
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        connecting = group.create_task(_connecting(slow))
        await slow.ending.wait()
        connecting.cancel()
        await asyncio.sleep(0)
        slow.may_end.set()
    assert connecting.cancelled()


async def test_what_ran_alongside_has_ended_before_the_block_is_left() -> None:
    left = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    async with run_in_background(work()):
        await asyncio.sleep(0)
    assert left.is_set()


async def test_what_died_alongside_is_told_at_the_end() -> None:
    with pytest.raises(LookupError):
        async with run_in_background(dies()):
            await asyncio.sleep(0.01)


async def test_dead_neighbour_keeps_no_cancelled_block_running() -> None:
    started = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LookupError("its connection broke") from None

    async def block() -> None:
        async with run_in_background(work()):
            started.set()
            await asyncio.Event().wait()

    blocked = asyncio.ensure_future(block())
    await started.wait()
    await asyncio.sleep(0)
    blocked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blocked


async def test_all_end_before_their_canceller_is_cancelled() -> None:
    slow = _Slow()
    running = asyncio.ensure_future(slow.work())
    await asyncio.sleep(0)
    cancelling = asyncio.ensure_future(cancel_all([running]))
    await slow.ending.wait()
    cancelling.cancel()
    await asyncio.sleep(0)
    assert not cancelling.done()
    slow.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await cancelling
    assert running.done()


async def test_what_goes_on_beside_ends_with_the_work() -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    async with asyncio.timeout(10):
        await until_one_ends(work(), swallows_one_cancellation())
    assert done.is_set()


async def test_work_does_not_outlive_what_has_to_go_on_beside_it() -> None:
    working = asyncio.ensure_future(asyncio.Event().wait())

    async def work() -> None:
        await working

    async with asyncio.timeout(10):
        with pytest.raises(LookupError):
            await until_one_ends(work(), dies())
    assert working.cancelled()
