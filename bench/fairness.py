"""The delay that a burst causes others: a single follower's copy, and an exit, beside a burst of
entries.

Each comes in turns alone and at the same moment as another leader's trade that a thousand follow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import psycopg

from bench import feed, hops
from bench.core.sheet import Figure, later
from bench.scene import Scene, scene
from bench.stops import Stop, stop_loss
from bench.system import SQL

_GOAL_MS = 5.0
_ROUNDS = 20
_NOISE = 100
_POSTS_SECONDS = 60.0


async def measure(followers: int, factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own.

    Args:
        followers: of the crowd's leader; at least 2.
        factor: on the usual number of rounds.
        say: told what takes its time.

    Raises:
        BenchError: and what the launcher raises.
    """
    rounds = max(3, int(_ROUNDS * factor))
    under = f"{followers} entries of another leader"
    async with scene([followers, 1], say) as here, stop_loss(here) as stop:
        here.feed.noise = _NOISE
        say(f"a single follower beside {followers}, {rounds} rounds")
        alone, beside, waits = await _copies(here, followers, rounds)
        say(f"a stop-loss beside {followers}, {rounds} rounds")
        exits = await _exits(here, stop, followers, rounds)
    return [
        *later("POST of a single follower", under, alone, beside, goal_ms=_GOAL_MS),
        *waits,
        *later("POST of a stop-loss", under, *exits, goal_ms=_GOAL_MS),
    ]


async def _copies(
    here: Scene, followers: int, rounds: int
) -> tuple[list[float], list[float], list[Figure]]:
    """Milliseconds alone and beside, and in which hops of the system they were spent beside."""
    leader, url = here.leader(1), here.engine.database_url
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute(SQL["wallet"], {"leader": leader})).fetchone()
    here.side.arrivals.watched = "" if row is None else row[0]
    crowded: list[str] = []

    async def act(crowd: Sequence[bytes]) -> int:
        frame = feed.frame(leader, here.asset)
        if crowd:
            crowded.append(feed.transaction(frame))
        return await here.feed.send([*crowd, frame])

    alone, beside = await _turns(here, followers, rounds, here.quiet, act)
    await here.quiet()
    spent = await asyncio.to_thread(hops.of_trades, url, crowded)
    under = f"{followers} entries of another leader"
    return alone, beside, [
        Figure(what=f"of that {hop.name}, p50", under=under, value=hop.p50_ms, unit="ms")
        for hop in spent
    ]  # fmt: skip


async def _exits(
    here: Scene, stop: Stop, followers: int, rounds: int
) -> tuple[list[float], list[float]]:
    here.side.arrivals.watched = stop.wallet

    async def prepare() -> None:
        await here.quiet()
        await stop.arm()

    async def act(crowd: Sequence[bytes]) -> int:
        await here.feed.send(crowd)
        started = time.monotonic_ns()
        await stop.fall()
        return started

    return await _turns(here, followers, rounds, prepare, act)


async def _turns(
    here: Scene,
    followers: int,
    rounds: int,
    prepare: Callable[[], Awaitable[None]],
    act: Callable[[Sequence[bytes]], Awaitable[int]],
) -> tuple[list[float], list[float]]:
    """Milliseconds from an act to the watched POST: alone, and with the crowd's frame before it."""
    arrivals = here.side.arrivals
    taken: dict[bool, list[float]] = {False: [], True: []}
    for number in range(-1, rounds):
        for crowded in (False, True) if number % 2 else (True, False):
            await prepare()
            orders = 1 + followers * crowded
            arrivals.expect(orders)
            crowd = [feed.frame(here.leader(followers), here.asset)] if crowded else []
            started = await act(crowd)
            await here.arrived(orders, _POSTS_SECONDS)
            if number >= 0:
                taken[crowded].append((arrivals.watched_ns - started) / 1e6)
    return taken[False], taken[True]
