"""The contestants take turns: one burst each, under every setup, until each has its rounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from bench import feed, hops
from bench.contestants import floor, skeleton
from bench.core.figures import Line, Round, Setup, line
from bench.gateway import Contestant
from bench.reads import reader
from bench.scene import Scene, scene
from launcher import temporary
from tradingtools.storage.postgres.migrate import migrate

_WARM_UP = 3
_TURN = 5
"""Rounds without reads, and then beside them."""


class Match:
    """One run of the benchmark, everything up."""

    def __init__(self, here: Scene, contestants: Sequence[Contestant]) -> None:
        self._scene = here
        self._contestants = contestants

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
        of = played.rounds
        return line(
            setup,
            of[Contestant.FLOOR],
            of[Contestant.SYSTEM],
            found,
            of[Contestant.SKELETON],
        )

    async def _round(self, setup: Setup, number: int, played: _Played) -> None:
        """Each contestant once; a negative number is for warming up and does not count."""
        here = self._scene
        here.side.answer_ms = setup.answer_ms
        here.feed.noise = setup.noise
        for contestant in self._contestants if number % 2 else self._contestants[::-1]:
            await here.quiet()
            wallet = here.leader(setup.followers, contestant)
            frames = [feed.frame(wallet, here.asset) for _ in range(setup.trades)]
            orders = setup.followers * setup.trades
            started, came = await here.burst(frames, orders, contestant)
            if number < 0:
                continue
            one = Round((came[0] - started) / 1e6, (came[-1] - started) / 1e6)
            played.rounds[contestant].append(one)
            if contestant is Contestant.SYSTEM:
                played.transactions += map(feed.transaction, frames)


@dataclass(slots=True)
class _Played:
    """The figures of one setup."""

    rounds: dict[Contestant, list[Round]] = field(
        default_factory=lambda: {each: [] for each in Contestant}
    )
    transactions: list[str] = field(default_factory=list)
    """The system's."""


def _database(url: str) -> str:
    """One for the skeleton alone, in the system's PostgreSQL."""
    own = temporary.create_database(url)
    migrate(own)
    return own


@asynccontextmanager
async def match(
    counts: Iterable[int], say: Callable[[str], None], *, bare: bool = False
) -> AsyncIterator[Match]:
    """The contestants up and warm.

    Args:
        counts: numbers of followers.
        say: told what takes its time.
        bare: whether the skeleton takes part.

    Raises:
        BenchError: and what the launcher raises.
    """
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(scene(counts, say))
        between = here.feed.port, here.side.port, here.leaders
        await stack.enter_async_context(floor(*between))
        contestants = [Contestant.FLOOR, Contestant.SYSTEM]
        if bare:
            url = await asyncio.to_thread(_database, here.engine.database_url)
            await stack.enter_async_context(skeleton(*between, url))
            contestants.insert(1, Contestant.SKELETON)
        yield Match(here, contestants)
