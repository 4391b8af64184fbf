"""The system between a feed and a venue gateway that are in the bench's hands: what every
measurement of copies has in common, from bringing it up to waiting until nothing is under way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg

from bench import feed, gateway, system
from bench.feed import Asset, Feed
from bench.gateway import Contestant, Gateway
from bench.system import SQL, BenchError, Engine, Venue

_BURST_SECONDS = 60.0
_QUIET_SECONDS = 0.25
"""Without a POST for so long, and with nothing under way, what the last burst caused is over."""
_POLL_SECONDS = 0.05
_SETTLED_SECONDS = 120.0
_FIRST_TRIES = 5
_FIRST_SECONDS = 20.0
_IDLE_NOISE = 20
"""Messages a second while nothing is measured: a feed without any is taken for a dead one."""

Leaders = Mapping[int, Mapping[Contestant, str]]
"""By number of followers: each contestant's leader."""
_DIGITS = {Contestant.FLOOR: "f", Contestant.SKELETON: "d", Contestant.SYSTEM: "e"}
"""That a leader's wallet begins with."""


def leaders(counts: Iterable[int]) -> Leaders:
    """Leaders for each number of followers; no contestant knows another's."""
    return {
        count: {each: f"0x{digit}{count:039x}" for each, digit in _DIGITS.items()}
        for count in counts
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Both ends and what is between them, everything up."""

    side: Gateway
    feed: Feed
    asset: Asset
    other_asset: Asset
    """Of another market."""
    leaders: Leaders
    engine: Engine
    venue: Venue
    subscription_id: str
    """One of those that were made."""

    def leader(self, followers: int, of: Contestant = Contestant.SYSTEM) -> str:
        """The wallet of a contestant's leader with so many followers."""
        return self.leaders[followers][of]

    async def burst(
        self, frames: Sequence[bytes], orders: int, of: Contestant = Contestant.SYSTEM
    ) -> tuple[int, list[int]]:
        """Send frames; when the first left and when the POSTs came, monotonic nanoseconds.

        Raises:
            BenchError: of the POSTs some are missing.
        """
        self.side.arrivals.expect(orders, of)
        started = await self.feed.send(frames)
        return started, await self.arrived(orders, _BURST_SECONDS, of)

    async def arrived(
        self, orders: int, seconds: float, of: Contestant = Contestant.SYSTEM
    ) -> list[int]:
        """When the expected POSTs came, monotonic nanoseconds. Raises BenchError."""
        try:
            return await self.side.arrivals.complete(seconds)
        except TimeoutError:
            raise BenchError(
                f"{of.name.lower()}: {self.side.arrivals.count} of {orders} POSTs"
                f" within {seconds:.0f} s"
            ) from None

    async def quiet(self) -> None:
        """Wait until what was caused so far is over. Raises BenchError."""
        deadline = time.monotonic() + _SETTLED_SECONDS
        async with await psycopg.AsyncConnection.connect(
            self.engine.database_url, autocommit=True
        ) as connection:
            while time.monotonic() < deadline:
                # Only POSTs: confirm asks for promises, balances and ended orders all the time.
                since = (time.monotonic_ns() - self.side.arrivals.last_post_ns) / 1e9
                if since >= _QUIET_SECONDS:
                    row = await (await connection.execute(SQL["settled"])).fetchone()
                    if row is not None and row[0]:
                        return
                await asyncio.sleep(max(_QUIET_SECONDS - since, _POLL_SECONDS))
        raise BenchError(f"orders are still under way after {_SETTLED_SECONDS:.0f} s")

    async def _know_everybody(self) -> None:
        """Until each leader's trade reaches all his followers: that they are known is not told."""
        for count in self.leaders:
            for tries_left in reversed(range(_FIRST_TRIES)):
                self.side.arrivals.expect(count)
                await self.feed.send([feed.frame(self.leader(count), self.asset)])
                try:
                    await self.arrived(count, _FIRST_SECONDS)
                    break
                except BenchError:
                    if not tries_left:
                        raise
                finally:
                    await self.quiet()
        self.side.arrivals.strays = 0

    def idle(self) -> None:
        """Measure nothing for a while."""
        self.feed.noise = _IDLE_NOISE


@asynccontextmanager
async def scene(
    counts: Iterable[int],
    say: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
    *,
    rest_ms: int = 0,
    postgres: Mapping[str, str] | None = None,
) -> AsyncIterator[Scene]:
    """Everything up and warm, with a leader for each number of followers.

    Args:
        counts: numbers of followers.
        say: told what takes its time.
        environ: settings of the engine that differ from a run's.
        rest_ms: how long the venue takes for each answer by REST.
        postgres: settings of PostgreSQL that differ from a run's.

    Raises:
        BenchError: and what the launcher raises.
    """
    found = leaders(counts)
    with system.venue(rest_ms) as venue:
        async with gateway.serving() as side, feed.serving() as source:
            asset, other = await asyncio.to_thread(system.tradable, venue.at)
            noise = asyncio.create_task(source.make_noise(asset))
            try:
                say("starting the engine")
                ends = system.Ends(feed=source.port, gateway=side.port, venue=venue)
                async with system.running(ends, environ or {}, postgres or {}) as engine:
                    say(f"subscribing {sum(found)} followers")
                    made = await system.subscribe(
                        engine,
                        {theirs[Contestant.SYSTEM]: count for count, theirs in found.items()},
                    )
                    here = Scene(
                        side=side, feed=source, asset=asset, other_asset=other, leaders=found,
                        engine=engine, venue=venue, subscription_id=made,
                    )  # fmt: skip
                    here.idle()
                    await here._know_everybody()
                    yield here
            finally:
                noise.cancel()
