"""A simulated process: its tasks and connections, and how it starts, is frozen and dies.

What was committed or had left stays when it dies; its memory goes, open transactions are rolled
back, and nothing that its code still does while it ends reaches anyone.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import psycopg

from tests.simulation.history import History
from tests.simulation.loop import PROCESS, VirtualLoop
from tests.simulation.network import Network
from tests.simulation.storm import Storm
from tradingtools import clock
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool

_STATEMENT_SECONDS = 0.001


@dataclass(slots=True)
class Life:
    """One life of a process."""

    name: str
    """With its number: ``router#2``."""
    service: str
    dead: bool = False
    pools: list[MemoryPool] = field(default_factory=list)


class Dead(asyncio.CancelledError):
    """Code of a process that is gone wanted something from the world."""


class Line:
    """The way from a process to the database: a point where others go first, or where it breaks."""

    def __init__(self, life: Life, loop: VirtualLoop, storm: Storm, machine: Machine) -> None:
        self._life = life
        self._loop = loop
        self._storm = storm
        self._machine = machine

    async def request(self, what: str) -> None:
        """A statement travels to the database: a point at which others may go first."""
        machine, life, storm = self._machine, self._life, self._storm
        machine.perhaps_killed(life, "killed at a statement")
        seconds = storm.delay(_STATEMENT_SECONDS)
        if storm.hits("db slow"):
            seconds += storm.rng.random()
        await self._loop.sleep(seconds)
        machine.perhaps_killed(life, "killed at a statement")
        if storm.hits("db request lost"):
            raise psycopg.OperationalError(f"{what}: lost on its way")

    async def reply(self, what: str) -> None:
        """Its answer travels back: mostly with the request's delay, sometimes it takes long."""
        storm = self._storm
        if storm.hits("db slow"):
            await self._loop.sleep(storm.rng.random())
        self._machine.perhaps_killed(self._life, "killed at a statement")
        lost = storm.hits("db reply lost")
        if lost or (what == "commit" and storm.hits("commit not answered")):
            raise psycopg.OperationalError(f"{what}: its answer was lost")


class Machine:
    """All processes of a seed.

    Args:
        loop: that runs them.
        database: they share.
        network: between them.
        storm: what goes wrong.
        history: what happened.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        database: MemoryDatabase,
        network: Network,
        storm: Storm,
        history: History,
    ) -> None:
        self._loop = loop
        self._database = database
        self._network = network
        self._storm = storm
        self._history = history
        self._lives: dict[str, Life] = {}
        self._programs: dict[str, Callable[[], Awaitable[None]]] = {}
        self._current: dict[str, Life] = {}
        self._numbers: dict[str, int] = {}
        self._skew_ns = storm.rng.choice((0, clock.TOLERATED_NS))
        """The most by which a process's clock may be off: what nobody corrects (ADR 17)."""
        self.restarts = 0

    def here(self) -> Life:
        """The life whose code runs now."""
        return self._lives[PROCESS.get()]

    def pool(self, size: int = 4) -> MemoryPool:
        """A pool of the present process."""
        life = self.here()
        pool = MemoryPool(self._database, Line(life, self._loop, self._storm, self), size)
        life.pools.append(pool)
        return pool

    def start(self, name: str, program: Callable[[], Awaitable[None]] | None = None) -> None:
        """Begin a new life of a process; an earlier one, if there is one, goes on beside it."""
        if program is not None:
            self._programs[name] = program
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        life = Life(f"{name}#{number}", name)
        self._lives[life.name] = self._current[name] = life
        self._loop.skews_ns[life.name] = int(self._storm.rng.uniform(-1, 1) * self._skew_ns)
        context = contextvars.copy_context()
        context.run(PROCESS.set, life.name)
        self._history.add(f"start {life.name}")
        self._loop.create_task(self._live(name, life), context=context)

    async def _live(self, name: str, life: Life) -> None:
        error: BaseException | None = None
        try:
            await self._programs[name]()
        except (Exception, asyncio.CancelledError) as caught:  # noqa: BLE001 - however it ends
            error = caught
        if life.dead:
            return
        self._history.add(f"ended: {_reason(error)}")
        self._bury(life)
        if self._current.get(name) is life:
            self.restarts += 1
            self._later(0.5, lambda: self._restart(name, life))

    def _restart(self, name: str, after: Life) -> None:
        if self._current.get(name) is after:
            self.start(name)

    def _bury(self, life: Life) -> None:
        life.dead = True
        self._network.sever(life.name)
        for pool in life.pools:
            pool.abandon()
        self._loop.thaw(life.name)
        # Not one step further: what is ready to run wakes up cancelled.
        for task in self._loop.tasks_of(life.name):
            task.cancel()

    def kill(self, name: str, *, restart_seconds: float = 0.0) -> None:
        """kill -9, and start again after a while."""
        life = self._current[name]
        if not life.dead:
            self._history.add(f"kill {life.name}")
            self._bury(life)
            self._later(0, lambda: self._loop.create_task(self._reap(life)))
            self._later(restart_seconds, lambda: self._restart(name, life))

    def perhaps_killed(self, life: Life, where: str) -> None:
        """A point at which a process may be killed; raises Dead when it is."""
        if life.dead:
            raise Dead
        if not self._storm.on:
            return
        if self._current.get(life.service) is life and self._storm.hits(where):
            self.kill(life.service, restart_seconds=self._storm.rng.random())
            raise Dead

    def _later(self, seconds: float, what: Callable[[], object]) -> None:
        """Do something that belongs to no process."""
        self._loop.call_later(seconds, what, context=contextvars.Context())

    async def _reap(self, life: Life) -> None:
        while tasks := self._loop.tasks_of(life.name):
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)

    def freeze(self, name: str) -> str:
        """Stop a process where it stands; returns the life, to be thawed."""
        life = self._current[name]
        self._history.add(f"freeze {life.name}")
        self._loop.freeze(life.name)
        return life.name

    def thaw(self, life: str) -> None:
        """Let a life go on."""
        self._history.add(f"thaw {life}")
        self._loop.thaw(life)

    async def stop(self) -> None:
        """End everything."""
        self._current.clear()
        for life in self._lives.values():
            if not life.dead:
                self._bury(life)
            await self._reap(life)


def _reason(error: BaseException | None) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_reason(inner) for inner in error.exceptions)
    return "by itself" if error is None else f"{type(error).__name__}: {error}"[:200]
