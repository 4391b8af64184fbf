"""The event loop of the simulation: its time, its order, and what it refuses."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.simulation.loop import PROCESS, Stalled, VirtualLoop


def start(loop: VirtualLoop, process: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin a task of a process."""
    context = contextvars.copy_context()
    context.run(PROCESS.set, process)
    return loop.create_task(work, context=context)


def interleaving(seed: int) -> list[str]:
    """Return what two processes of two tasks each have done."""
    loop, done = VirtualLoop(random.Random(seed)), []  # noqa: S311 - a seed makes it repeatable

    async def work(name: str) -> None:
        for step in range(3):
            done.append(f"{name}{step}")
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(
            *(start(loop, name[0], work(name)) for name in ("ax", "ay", "bx", "by"))
        )

    loop.run(both())
    return done


def test_a_process_keeps_its_order_and_a_seed_draws_between_them() -> None:
    runs = [interleaving(seed) for seed in range(20)]
    assert runs == [interleaving(seed) for seed in range(20)]
    assert len({tuple(run) for run in runs}) > 10
    for run in runs:
        mine = [step for step in run if step.startswith("a")]
        assert mine == ["ax0", "ay0", "ax1", "ay1", "ax2", "ay2"]


def test_time_jumps_to_what_is_next_and_no_further() -> None:
    loop = VirtualLoop(random.Random(1))  # noqa: S311
    assert loop.run(asyncio.sleep(86_400, "slept")) == "slept"
    assert (loop.time(), loop.monotonic_ns()) == (86_400.0, 86_400 * 10**9)


def test_who_is_frozen_wakes_up_late_and_the_others_do_not_wait() -> None:
    loop = VirtualLoop(random.Random(1))  # noqa: S311

    async def wake() -> float:
        await asyncio.sleep(1)
        return loop.time()

    async def scene() -> list[float]:
        frozen, awake = start(loop, "a", wake()), start(loop, "b", wake())
        loop.freeze("a")
        await asyncio.sleep(5)
        loop.thaw("a")
        return [await frozen, await awake]

    late, on_time = loop.run(scene())
    assert late >= 5
    assert on_time == 1


def test_threads_and_waiting_for_nothing_are_refused() -> None:
    async def thread() -> None:
        await asyncio.to_thread(list)

    with pytest.raises(RuntimeError, match="may not use threads"):
        VirtualLoop(random.Random(1)).run(thread())  # noqa: S311
    stalled = VirtualLoop(random.Random(1))  # noqa: S311
    task = stalled.create_task(asyncio.Event().wait())
    with pytest.raises(Stalled):
        stalled.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        stalled.run(asyncio.wait_for(task, 1))
