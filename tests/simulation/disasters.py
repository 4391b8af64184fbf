"""Disasters of processes and stores in a seed: kills, freezes, takeovers, restarts, outages.

Kills at a statement or a request are the storm's (`machine`, `insiders`); these here come at any
time, one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.simulation.world import SERVICES, World

_UPSTREAM = ("ingest", "bookfeed")


class Disasters:
    """Everything that comes from outside.

    Args:
        world: where.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng("disasters")
        self._pause_seconds = self._rng.choice((1.0, 3.0, 8.0))

    async def run(self, seconds: float) -> None:
        """One after the other for so long; whatever was taken away is back at the end."""
        world = self._world
        until = world.loop.time() + seconds
        while True:
            pause = 2 * self._rng.random() * self._pause_seconds
            if world.loop.time() + pause >= until:
                return
            await asyncio.sleep(pause)
            kinds = self._kinds()
            (name,) = self._rng.choices(list(kinds), [weight for weight, _ in kinds.values()])
            world.storm.note(name)
            await kinds[name][1]()

    def _kinds(self) -> dict[str, tuple[int, Callable[[], Awaitable[None]]]]:
        """Return how often each comes, of so many in all, and what it is."""
        return {
            "killed": (4, self._kill),
            "killed together": (1, self._kill_all),
            "frozen": (2, self._freeze),
            "taken over": (4, self._take_over),
            "database restarted": (2, self._restart_database),
            "database away": (2, self._database_away),
            "redis away": (1, self._redis_away),
            "redis flushed": (1, self._flush_redis),
            "insiders-api away": (2, self._far_side_away),
        }

    async def _kill(self) -> None:
        name = self._rng.choice((*SERVICES, *SERVICES, *_UPSTREAM))
        self._world.machine.kill(name, restart_seconds=2 * self._rng.random())

    async def _kill_all(self) -> None:
        for name in (*SERVICES, *_UPSTREAM):
            self._world.machine.kill(name, restart_seconds=2 * self._rng.random())

    async def _freeze(self) -> None:
        machine = self._world.machine
        life = machine.freeze(self._rng.choice(SERVICES))
        await asyncio.sleep(3 * self._rng.random())
        machine.thaw(life)

    async def _take_over(self) -> None:
        """A process sleeps, another takes its place, and it wakes up believing in its lease."""
        machine, rng = self._world.machine, self._rng
        name = rng.choice(SERVICES)
        life = machine.freeze(name)
        await asyncio.sleep(rng.random())
        machine.start(name)
        await asyncio.sleep(3 * rng.random())
        machine.thaw(life)

    async def _restart_database(self) -> None:
        self._world.history.add("database restarts")
        self._world.database.restart()

    async def _database_away(self) -> None:
        database = self._world.database
        database.down = True
        self._world.history.add("database goes away")
        database.restart()
        await asyncio.sleep(2 * self._rng.random())
        database.down = False

    async def _redis_away(self) -> None:
        self._world.bus.down = True
        await asyncio.sleep(3 * self._rng.random())
        self._world.bus.down = False

    async def _flush_redis(self) -> None:
        self._world.bus.flush()

    async def _far_side_away(self) -> None:
        far = self._world.far
        far.down = True
        await asyncio.sleep(3 * self._rng.random())
        far.down = False
