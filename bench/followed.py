"""The log of events behind a real load of copies: how late it is, what it costs, and whether the
copies are later for it.

The whole engine runs, and one leader with a hundred followers trades. First at a steady pace, with
a reader who follows the log: an event is late from its row's commit to its coming. PostgreSQL keeps
when each transaction was committed, so each stage is a line of its own. Then in bursts, in turns
without the log and with it: without it its process stands still. `TT_EVENTS_...` of the environment
are the log's settings.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import pairwise

import psutil
import psycopg
from psycopg.rows import dict_row

from bench import feed
from bench.core.sheet import Figure, times
from bench.scene import Scene, scene
from bench.system import SQL, BenchError
from tradingtools.rpc import callers, streams, transport
from tradingtools.tasks import cancel_all
from tradingtools.v1 import event_service_pb2 as pb
from tradingtools.v1 import event_service_pb2_grpc as rpc

_NOISE = 100
_BURSTS = 3
"""Without the log, then with it, again and again."""
_BEHIND = ("events", "webhooks", "alerts")
"""Processes that follow the copies; the first one is made to stand still."""
_POST_SECONDS = 60.0
_CAUGHT_UP_SECONDS = 60.0
_CORE = 0.05
_LAG_P50_MS, _LAG_P99_MS = 50.0, 250.0
_SLOWER = 1.05


async def measure(
    followers: int, seconds: int, turns: int, say: Callable[[str], None]
) -> list[Figure]:
    """A run of its own.

    Args:
        followers: of the leader, who trades once a second.
        seconds: of the steady pace.
        turns: without the log and with it.
        say: told what takes its time.

    Raises:
        BenchError: and what the launcher raises.
    """
    environ = {name: value for name, value in os.environ.items() if name.startswith("TT_EVENTS_")}
    postgres = {"track_commit_timestamp": "on"}
    async with scene([followers], say, environ, postgres=postgres) as here:
        here.feed.noise = _NOISE
        await here.quiet()
        say(f"{seconds} seconds of {followers} orders a second")
        steady = await _steady(here, followers, seconds)
        say(f"{turns} turns of {_BURSTS} bursts without the log, and with it")
        return [*steady, *await _in_turns(here, followers, turns)]


async def _steady(here: Scene, followers: int, seconds: int) -> list[Figure]:
    pids = here.engine.pids()
    watched = {name: psutil.Process(pids[name]) for name in _BEHIND}
    came: dict[int, int] = {}
    async with _followed(here, came):
        before = {name: _spent(process) for name, process in watched.items()}
        started = time.monotonic()
        for number in range(seconds):
            await asyncio.sleep(max(0.0, started + number - time.monotonic()))
            await _burst(here, followers)
        past = time.monotonic() - started
        await here.quiet()
        await _caught_up(here)
        shares = {name: (_spent(p) - before[name]) / past for name, p in watched.items()}
    under = f"{followers * seconds / past:.0f} orders a second, {len(came) / past:.0f} events"
    return [
        *await _stages(here, came, under),
        Figure(what="events", under=under, value=shares["events"], unit="cores", goal=_CORE),
        *(
            Figure(what=name, under=under, value=shares[name], unit="cores")
            for name in _BEHIND[1:]
        ),
    ]  # fmt: skip


async def _stages(here: Scene, came: Mapping[int, int], under: str) -> list[Figure]:
    """Return how long events of orders were in each stage, and from commit to reader."""
    async with await psycopg.AsyncConnection.connect(
        here.engine.database_url, row_factory=dict_row
    ) as connection:
        cursor = await connection.execute(SQL["stages"], {"numbers": list(came)})
        rows = await cursor.fetchall()
    ends = ("written_us", "committed_us", "logged_us", "came_us")
    timed = [row | {"came_us": came[row["number"]] / 1000} for row in rows]

    def between(first: str, last: str) -> list[float]:
        return [(row[last] - row[first]) / 1000 for row in timed]

    p50, p99 = times("commit to reader", under, between(*ends[1::2]), goal_p99=_LAG_P99_MS)
    names = ("row written to commit", "commit to the log", "the log to reader")
    return [
        replace(p50, goal=_LAG_P50_MS),
        p99,
        *times("row written to reader", under, between(*ends[::3])),
        *(
            times(name, under, between(*pair))[0]
            for name, pair in zip(names, pairwise(ends), strict=True)
        ),
    ]  # fmt: skip


async def _in_turns(here: Scene, followers: int, turns: int) -> list[Figure]:
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(turns):
        with _still(here.engine.pids()[_BEHIND[0]]):
            alone += [await _burst(here, followers) for _ in range(_BURSTS)]
        await _caught_up(here)
        beside += [await _burst(here, followers) for _ in range(_BURSTS)]
    figures = [
        *times("last POST", f"{followers} followers, without the log", alone),
        *times("last POST", f"{followers} followers, with it", beside),
    ]
    ratio = figures[2].value / figures[0].value
    under = "medians, with the log to without it"
    return [
        *figures, Figure(what="last POST", under=under, value=ratio, unit="times", goal=_SLOWER),
    ]  # fmt: skip


async def _burst(here: Scene, followers: int) -> float:
    """Milliseconds from one trade's frame to the last follower's POST. Raises BenchError."""
    await here.quiet()
    here.side.arrivals.expect(followers)
    started = await here.feed.send([feed.frame(here.leader(followers), here.asset)])
    came = await here.arrived(followers, _POST_SECONDS)
    return (came[-1] - started) / 1e6


@contextmanager
def _still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def _followed(here: Scene, came: dict[int, int]) -> AsyncIterator[None]:
    """Follow the log; note when each event comes, in nanoseconds since the epoch."""
    prepared = here.engine.prepared
    there = transport.channel(prepared.addresses["events"])
    ready = asyncio.Event()

    async def follow() -> None:
        async with transport.showing(there, ((callers.HEADER, prepared.engine_token),)) as channel:
            stub = rpc.EventServiceStub(channel)
            async for response in streams.read(
                "events", lambda c: stub.StreamEvents(pb.StreamEventsRequest(cursor=c)), ""
            ):
                now = time.time_ns()
                came.update((event.sequence, now) for event in response.events)
                ready.set()

    following = asyncio.create_task(follow())
    try:
        await ready.wait()
        came.clear()
        yield
    finally:
        await cancel_all([following])


async def _caught_up(here: Scene) -> None:
    """Wait until the log has all that was written. Raises BenchError."""
    deadline = time.monotonic() + _CAUGHT_UP_SECONDS
    async with await psycopg.AsyncConnection.connect(
        here.engine.database_url, autocommit=True
    ) as connection:
        while time.monotonic() < deadline:
            row = await (await connection.execute(SQL["log_is_whole"])).fetchone()
            if row is not None and row[0]:
                return
            await asyncio.sleep(0.05)
    raise BenchError(f"the log is behind after {_CAUGHT_UP_SECONDS:.0f} s")


def _spent(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return spent.user + spent.system
