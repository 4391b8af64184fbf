"""The time of a start, and of the absence of a process that was killed.

It is killed with as many orders open as there are followers: their POSTs have arrived and are not
answered yet. Away is it from the signal until it says SERVING again, supervisor, recovery and the
taking over of its partition included.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

from bench import feed
from bench.core.sheet import Figure
from bench.scene import Scene, scene
from bench.system import BenchError
from launcher.startup import serving

_KILLED = ("router", "executor", "guard", "confirm")
_CONNECTIONS = 256
_ANSWER_MS = 9_000
"""Less than what the executor waits for."""
_POSTS_SECONDS = 120.0
_AWAY_SECONDS = 120.0
_POLL_SECONDS = 0.02


async def measure(followers: int, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own.

    Args:
        followers: whose orders are open.
        say: told what takes its time.

    Raises:
        BenchError: and what the launcher raises.
    """
    # Each open order holds a connection, and some are kept for exits.
    room = {"TT_EXECUTOR_INSIDERS_CONNECTIONS": str(max(_CONNECTIONS, 2 * followers))}
    async with scene([followers], say, room) as here:
        figures = [
            Figure(what=f"start: {name} ready", under="an empty machine", value=took, unit="s")
            for name, took in here.engine.started.items()
            if took
        ]
        for name in _KILLED:
            say(f"kill -9 of {name} with {followers} open orders")
            figures.append(
                Figure(
                    what=f"{name}: away after kill -9", under=f"{followers} open orders",
                    value=await _away(here, name, followers), unit="s",
                )
            )  # fmt: skip
    return figures


async def _away(here: Scene, name: str, followers: int) -> float:
    """Seconds. Nothing is under way before and after."""
    await here.quiet()
    here.side.answer_ms = _ANSWER_MS
    here.side.arrivals.expect(followers)
    await here.feed.send([feed.frame(here.leader(followers), here.asset)])
    await here.arrived(followers, _POSTS_SECONDS)
    pids = await asyncio.to_thread(here.engine.pids)
    started = time.monotonic()
    os.kill(pids[name], signal.SIGKILL)
    await _back(here, name, pids[name], started)
    away = time.monotonic() - started
    here.side.answer_ms = 0
    return away


async def _back(here: Scene, name: str, killed: int, started: float) -> None:
    address = here.engine.prepared.addresses[name]
    while time.monotonic() < started + _AWAY_SECONDS:
        now = (await asyncio.to_thread(here.engine.pids))[name]
        if now not in (0, killed) and await asyncio.to_thread(serving, address):
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise BenchError(f"{name} is not back after {_AWAY_SECONDS:.0f} s")
