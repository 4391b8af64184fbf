"""Floor and system take turns: one burst each, under every setup, until each has its rounds."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import feed, hops
from bench.core.figures import Line, Round, Setup, line
from bench.reads import reader
from bench.scene import Leaders, Scene, scene
from bench.system import BenchError
from launcher.state import ROOT

_WARM_UP = 3
_TURN = 5
"""Rounds without reads, and then beside them."""


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
        played = _Played()
        for number in range(-_WARM_UP, rounds):
            await self._round(setup, number, played)
            progress(max(number + 1, 0))
        return await self._line(setup, played)

    async def play_beside(
        self, setup: Setup, rounds: int, progress: Callable[[int], None]
    ) -> tuple[Line, Line]:
        """The same without and beside its reads, in turns, so that both meet the same machine.

        Raises:
            BenchError: a POST does not come, or a read is answered wrongly.
        """
        alone, beside = _Played(), _Played()
        quiet = replace(setup, reads=0)
        async with reader(self._scene, setup.reads) as reads:
            for first in range(0, rounds, _TURN):
                numbers = range(first, min(first + _TURN, rounds))
                for number in (-1, *numbers):
                    await self._round(quiet, number, alone)
                async with reads.beside():
                    for number in (-1, *numbers):
                        await self._round(setup, number, beside)
                progress(numbers.stop)
        found = await self._line(setup, beside)
        return await self._line(quiet, alone), replace(found, reads=reads.tally)

    async def _line(self, setup: Setup, played: _Played) -> Line:
        here = self._scene
        here.idle()
        await here.quiet()
        url = here.engine.database_url
        found = await asyncio.to_thread(hops.of_trades, url, played.transactions)
        return line(setup, played.floor, played.system, found)

    async def _round(self, setup: Setup, number: int, played: _Played) -> None:
        """Both contestants once; a negative number is for warming up and does not count."""
        here = self._scene
        here.side.answer_ms = setup.answer_ms
        here.feed.noise = setup.noise
        for floor_plays in (True, False) if number % 2 else (False, True):
            await here.quiet()
            wallet = here.leaders[setup.followers][0 if floor_plays else 1]
            frames = [feed.frame(wallet, here.asset) for _ in range(setup.trades)]
            orders = setup.followers * setup.trades
            began, came = await here.burst(frames, orders, floor=floor_plays)
            if number < 0:
                continue
            one = Round((came[0] - began) / 1e6, (came[-1] - began) / 1e6)
            (played.floor if floor_plays else played.system).append(one)
            if not floor_plays:
                played.transactions += map(feed.transaction, frames)


@dataclass(slots=True)
class _Played:
    """What counts of one setup."""

    floor: list[Round] = field(default_factory=list)
    system: list[Round] = field(default_factory=list)
    transactions: list[str] = field(default_factory=list)
    """The system's."""


@asynccontextmanager
async def match(counts: Iterable[int], say: Callable[[str], None]) -> AsyncIterator[Match]:
    """Both contestants up and warm. Raises BenchError, and what the launcher raises."""
    async with scene(counts, say) as here:
        path = ROOT / ".state" / "bench-floor.log"
        path.unlink(missing_ok=True)
        async with floor((here.feed.port, here.side.port), path, here.leaders):
            yield Match(here)
        path.unlink(missing_ok=True)
