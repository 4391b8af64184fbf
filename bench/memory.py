"""The memory of followers and triggers: resident size before and after there are many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import psutil
import psycopg

from bench import guard
from bench.core.sheet import Figure
from bench.guard import RunParameters
from bench.market import Market
from bench.routing import Router, router
from bench.scene import Scene, scene
from bench.system import SQL, BenchError, multiply

_FOLLOWERS = 10_000
_FEW, _MANY = 1_000, 100_000
"""Triggers."""
_ASSETS = 200
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 120.0


async def measure(factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own.

    Args:
        factor: on the usual numbers of followers and triggers.
        say: told what takes its time.

    Raises:
        BenchError: and what the launcher raises.
    """
    return [*await _followers(factor, say), *await _triggers(factor, say)]


async def _followers(factor: float, say: Callable[[str], None]) -> list[Figure]:
    many = max(1_000, int(_FOLLOWERS * factor))
    async with scene([1], say) as here, router(here) as requested:
        before = await asyncio.to_thread(_resident, here)
        say(f"{many} followers of one leader")
        await asyncio.to_thread(multiply, here.engine.database_url, {here.subscription_id: many})
        await _known(here, requested)
        after = await asyncio.to_thread(_resident, here)
    grown = {name: after[name] - before[name] for name in before}
    under = f"{many} followers of one leader"
    return [
        Figure(what=f"{whose}: memory of 1,000 followers", under=under, value=mib, unit="MiB")
        for whose, mib in (
            ("router", grown["router"] * 1_000 / many),
            ("the whole engine", sum(grown.values()) * 1_000 / many),
        )
    ]


def _resident(here: Scene) -> dict[str, float]:
    """MiB of each of the engine's processes."""
    return {
        name: psutil.Process(pid).memory_info().rss / 2**20
        for name, pid in here.engine.pids().items()
    }


async def _known(here: Scene, requested: Router) -> None:
    """Until the router knows the newest follower."""
    async with await psycopg.AsyncConnection.connect(here.engine.database_url) as connection:
        row = await (await connection.execute(SQL["newest_follower"])).fetchone()
    newest = "" if row is None else row[0]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while await requested.preview(here.leader(1), newest) is None:
        if time.monotonic() > deadline:
            raise BenchError(f"the router does not know everybody after {_PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(_POLL_SECONDS)


async def _triggers(factor: float, say: Callable[[str], None]) -> list[Figure]:
    many = max(2 * _FEW, int(_MANY * factor))
    resident = []
    for number in (_FEW, many):
        say(f"a guard with {number} armed triggers")
        requested = RunParameters(triggers=number, assets=_ASSETS, deltas=1, fires=1, seconds=0)
        async with guard.loaded(requested, Market(assets=_ASSETS, stops=requested.lots)) as made:
            resident.append(psutil.Process(made.pid).memory_info().rss / 2**20)
    return [
        Figure(
            what="guard: memory of 10,000 triggers", under=f"{many} armed triggers",
            value=(resident[1] - resident[0]) * 10_000 / (many - _FEW), unit="MiB",
        ),
        Figure(
            what="guard: memory", under=f"{_FEW} armed triggers", value=resident[0], unit="MiB"
        ),
    ]  # fmt: skip
