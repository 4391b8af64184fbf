"""Floor and system take turns: one burst each, under every setup, until each has its rounds."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from bench import feed, hops
from bench.core.figures import Line, Round, Setup, line
from bench.reads import reading
from bench.scene import Leaders, Scene, scene
from bench.system import BenchError
from launcher.state import ROOT

_WARM_UP = 3


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

    def __init__(self, here: Scene) -> None:
        self._scene = here

    @property
    def strays(self) -> int:
        """POSTs that no burst explains: each would be a doubled order."""
        return self._scene.side.arrivals.strays

    async def play(self, setup: Setup, rounds: int, progress: Callable[[int], None]) -> Line:
        """All rounds of one setup. Raises BenchError when a POST does not come."""
        here = self._scene
        here.side.answer_ms = setup.answer_ms
        here.feed.noise = setup.noise
        of: dict[bool, list[Round]] = {True: [], False: []}
        note, token = here.engine.prepared.note, here.engine.prepared.token
        path = f"/subscriptions/{here.subscription_id}"
        reads = reading(note.rest_url, token, path, setup.reads)
        async with reads if setup.reads else nullcontext([0.0]) as reached:
            began_ns = await self._rounds(setup, rounds, of, progress)
        here.idle()
        await here.quiet()
        theirs = here.leaders[setup.followers][1]
        found = await asyncio.to_thread(hops.medians, here.engine.database_url, theirs, began_ns)
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
        here = self._scene
        await here.quiet()
        wallet = here.leaders[setup.followers][0 if floor else 1]
        frames = [feed.frame(wallet, here.asset) for _ in range(setup.trades)]
        began, came = await here.burst(frames, setup.followers * setup.trades, floor=floor)
        return Round((came[0] - began) / 1e6, (came[-1] - began) / 1e6)


@asynccontextmanager
async def match(counts: Iterable[int], say: Callable[[str], None]) -> AsyncIterator[Match]:
    """Both contestants up and warm. Raises BenchError, and what the launcher raises."""
    async with scene(counts, say) as here:
        path = ROOT / ".state" / "bench-floor.log"
        path.unlink(missing_ok=True)
        async with floor((here.feed.port, here.side.port), path, here.leaders):
            yield Match(here)
        path.unlink(missing_ok=True)
