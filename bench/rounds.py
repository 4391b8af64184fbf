"""Floor and system take turns: one burst each, under every setup, until each has its rounds."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench import far_side, feed, hops, system
from bench.core.figures import Line, Round, Setup, line
from bench.far_side import FarSide
from bench.feed import Asset, Feed
from bench.reads import reading
from bench.system import BenchError
from launcher.state import ROOT

_BURST_SECONDS = 60.0
_QUIET_SECONDS = 0.25
_QUIET_SECONDS_AN_ORDER = 0.001
"""Without a POST for so long, what the last burst caused is over: its orders are booked."""
_WARM_UP = 3

Leaders = Mapping[int, tuple[str, str]]
"""By number of followers: the floor's leader and the system's."""


def leaders(counts: Iterable[int]) -> Leaders:
    """Two leaders for each number of followers; neither contestant knows the other's."""
    return {count: (f"0xf{count:039x}", f"0xe{count:039x}") for count in counts}


@asynccontextmanager
async def floor(ports: tuple[int, int], path: Path, found: Leaders) -> AsyncIterator[None]:
    """The floor's process; gone when the block ends."""
    wanted = [f"{mine}={count}" for count, (mine, _) in found.items()]
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own module; started once
        [sys.executable, "-m", "bench.floor", *map(str, ports), str(path), *wanted],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    if process.stdout is None:
        raise BenchError("the floor has no output")
    try:
        said = await asyncio.to_thread(process.stdout.readline)
        if said != b"ready\n":
            raise BenchError("the floor does not come up")
        yield
    finally:
        process.kill()
        process.stdout.close()
        await asyncio.to_thread(process.wait)


class Match:
    """One run of the benchmark, everything up."""

    def __init__(
        self,
        side: FarSide,
        source: Feed,
        asset: Asset,
        found: Leaders,
        database_url: str,
        reads: Callable[[int], AbstractAsyncContextManager[list[float]]],
    ) -> None:
        self._database_url = database_url
        self._reads = reads
        self._side = side
        self._feed = source
        self._asset = asset
        self._leaders = found

    @property
    def strays(self) -> int:
        """POSTs that no burst explains: each would be a doubled order."""
        return self._side.arrivals.strays

    async def play(self, setup: Setup, rounds: int, progress: Callable[[int], None]) -> Line:
        """All rounds of one setup. Raises BenchError when a POST does not come."""
        self._side.answer_ms = setup.answer_ms
        self._feed.noise = setup.noise
        of: dict[bool, list[Round]] = {True: [], False: []}
        async with self._reads(setup.reads) if setup.reads else nullcontext([0.0]) as reached:
            began_ns = await self._rounds(setup, rounds, of, progress)
        self._feed.noise = 0
        await self._quiet(setup.followers * setup.trades)
        theirs = self._leaders[setup.followers][1]
        found = await asyncio.to_thread(hops.medians, self._database_url, theirs, began_ns)
        return replace(line(setup, of[True], of[False], found), reads_reached=reached[0])

    async def _rounds(
        self,
        setup: Setup,
        rounds: int,
        of: Mapping[bool, list[Round]],
        progress: Callable[[int], None],
    ) -> int:
        """Play them in turns; when the first that counts began, nanoseconds since 1970."""
        began_ns = time.time_ns()
        for number in range(-_WARM_UP, rounds):
            if number == 0:
                began_ns = time.time_ns()
            for floor_plays in (True, False) if number % 2 else (False, True):
                played = await self._burst(setup, floor=floor_plays)
                if number >= 0:
                    of[floor_plays].append(played)
            progress(max(number + 1, 0))
        return began_ns

    async def _burst(self, setup: Setup, *, floor: bool) -> Round:
        await self._quiet(setup.followers * setup.trades)
        arrivals = self._side.arrivals
        wallet = self._leaders[setup.followers][0 if floor else 1]
        frames = [feed.frame(wallet, self._asset) for _ in range(setup.trades)]
        arrivals.expect(setup.followers * setup.trades, floor=floor)
        began = await self._feed.send(frames)
        try:
            came = await arrivals.complete(_BURST_SECONDS)
        except TimeoutError:
            raise BenchError(
                f"{'floor' if floor else 'system'}: {arrivals.count} of"
                f" {setup.followers * setup.trades} POSTs within {_BURST_SECONDS:.0f} s"
            ) from None
        return Round((came[0] - began) / 1e6, (came[-1] - began) / 1e6)

    async def _quiet(self, orders: int) -> None:
        wanted = _QUIET_SECONDS + orders * _QUIET_SECONDS_AN_ORDER
        while True:
            # Only POSTs: confirm asks for promises, balances and ended orders all the time.
            since = (time.monotonic_ns() - self._side.arrivals.last_post_ns) / 1e9
            if since >= wanted:
                return
            await asyncio.sleep(wanted - since + 0.01)


@asynccontextmanager
async def match(counts: Iterable[int], say: Callable[[str], None]) -> AsyncIterator[Match]:
    """Both contestants up and warm. Raises BenchError, and what the launcher raises."""
    found = leaders(counts)
    with system.venue() as venue_at:
        async with far_side.serving() as side, feed.serving() as source:
            asset = await asyncio.to_thread(system.tradable, venue_at)
            noise = asyncio.create_task(source.make_noise(asset))
            try:
                say("starting the engine")
                async with system.running(source.port, side.port, venue_at) as prepared:
                    path = ROOT / ".state" / "bench-floor.log"
                    path.unlink(missing_ok=True)
                    async with floor((source.port, side.port), path, found):
                        say(f"creating {sum(found)} subscriptions over REST")
                        made = await system.subscribe(
                            prepared, {theirs: count for count, (_, theirs) in found.items()}
                        )
                        read = partial(
                            reading,
                            prepared.note.rest_url,
                            prepared.token,
                            f"/subscriptions/{made}",
                        )
                        url = prepared.environ["TT_DATABASE_URL"]
                        yield Match(side, source, asset, found, url, read)
                    path.unlink(missing_ok=True)
            finally:
                noise.cancel()
