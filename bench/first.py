"""The first seconds after a start beside later ones: a leader's buys at a steady pace.

The first start is that of the whole system. For each further one all of the engine's processes that
copy are ended and started again. Then one buy after the other, in a market that is known, from the
instant at which all say that they serve.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

from bench import feed
from bench.core.sheet import Figure, times
from bench.scene import Scene, scene
from bench.system import BenchError
from launcher.core.programs import ENGINE
from launcher.startup import serving

_STARTS = 5
_SECONDS = 8.0
_PAUSE_SECONDS = 0.1
_LATER_SECONDS = 8.0
_BACK_SECONDS = 60.0
_POST_SECONDS = 10.0
_NOISE = 100
_FEEDS = 2
"""Sockets of ingest."""
_COPIED = tuple(name for name in ENGINE if name != "control")


async def measure(factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own.

    Args:
        factor: on the usual number of starts.
        say: told what takes its time.

    Raises:
        BenchError: and what the launcher raises.
    """
    first: list[float] = []
    later: list[float] = []
    async with scene([1], say) as here:
        here.feed.noise = _NOISE
        for number in range(max(1, int(_STARTS * factor))):
            say(f"start {number + 1}")
            if number:
                await _again(here)
            took = await _buys(here, _SECONDS)
            say(f"  the longest: {_longest(took)}")
            first += took
            await here.quiet()
            await asyncio.sleep(2.0)
            later += await _buys(here, _LATER_SECONDS)
            await here.quiet()
    return [
        *times("POST", f"first {_SECONDS:.0f} s after a start", first),
        Figure(what="POST, longest", under="the same", value=max(first), unit="ms"),
        *times("POST", "later", later),
        Figure(what="POST, longest", under="later", value=max(later), unit="ms"),
    ]


def _longest(took: list[float]) -> str:
    worst = sorted(enumerate(took), key=lambda one: -one[1])[:5]
    return ", ".join(f"{ms:.0f} ms (buy {number})" for number, ms in sorted(worst))


async def _buys(here: Scene, seconds: float) -> list[float]:
    """Milliseconds from each frame to its POST, one after the other."""
    taken: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        here.side.arrivals.expect(1)
        started = await here.feed.send([feed.frame(here.leader(1), here.asset)])
        came = await here.arrived(1, _POST_SECONDS)
        taken.append((came[-1] - started) / 1e6)
        await asyncio.sleep(_PAUSE_SECONDS)
    return taken


async def _again(here: Scene) -> None:
    """End what copies, and wait until all of it serves again. Raises BenchError."""
    pids = await asyncio.to_thread(here.engine.pids)
    for name in _COPIED:
        os.kill(pids[name], signal.SIGTERM)
    deadline = time.monotonic() + _BACK_SECONDS
    for name in _COPIED:
        while not await _is_back(here, name, pids[name]):
            if time.monotonic() > deadline:
                raise BenchError(f"{name} is not back after {_BACK_SECONDS:.0f} s")
            await asyncio.sleep(0.02)
    await here.feed.connected(_FEEDS, _BACK_SECONDS)


async def _is_back(here: Scene, name: str, ended: int) -> bool:
    now = (await asyncio.to_thread(here.engine.pids))[name]
    address = here.engine.prepared.addresses[name]
    return now not in (0, ended) and await asyncio.to_thread(serving, address)
