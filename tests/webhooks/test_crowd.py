"""Many endpoints, some of them bad, while everything is killed: every journal is whole.

The bad ones are bad until all others have all: whoever waited for one would wait for ever.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from standardwebhooks.webhooks import Webhook
from svix.webhooks import Webhook as Svix

from tests.events.edge import Listening, listening
from tests.fault.stores import Store, own_postgres
from tests.money_path.world import eventually
from tests.webhooks.receivers import Receivers, receiving
from tradingtools.tasks import cancel_all

_BAD = ("/dead", "/slow", "/redirect", "/gone", "/busy", "/garbage")
_KILLED = ("webhooks", "events", "control", "envoy", "postgres")
_EVENTS = (
    "select 'evt_' || log_number || '_' || part from event"
    " where type = 'message.quarantined' order by number"
)
_LANE = (
    "select l.position, l.pending, l.failing_since,"
    " array(select row(d.number, d.attempt, d.outcome, d.answer)::text from webhook_delivery d"
    " where d.endpoint_id = l.endpoint_id and d.outcome <> 'delivered')"
    " from webhook_lane l where l.endpoint_id = %s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of it there is."""

    good: int
    bad: int
    events: int
    rounds: int
    """Of kills, each of everything."""
    seconds: float


@dataclass(slots=True)
class Crowd:
    """Endpoints, what they are told of, and what may be killed."""

    world: Listening
    postgres: Store
    receivers: Receivers
    seconds: float
    """Bound of a wait for what must come; only a failing test waits that long."""
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By path."""
    written: int = 0

    async def add(self, path: str) -> None:
        """Make an endpoint, every tenth of those that are good without an order."""
        ordering = "NONE" if path.startswith("/any") else "LOG"
        body = {
            "url": self.receivers.url(path),
            "types": ["message.*"],
            "ordering": f"WEBHOOK_ORDERING_{ordering}",
        }
        self.endpoints[path] = await self.call("POST", "/webhook-endpoints", body)

    async def call(self, verb: str, path: str, body: object = None) -> dict[str, Any]:
        """A request that is answered with success."""
        answer = await asyncio.to_thread(self.world.call, verb, path, json=body)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def happen(self, count: int) -> None:
        """Have so many rows more, however often the database is away meanwhile."""
        self.written += count
        while (
            missing := self.written - len(await self._requested("select 1 from dead_letter"))
        ) > 0:
            try:
                await asyncio.to_thread(self.world.happen, missing)
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)

    async def ids(self) -> list[str]:
        """All events once they are in the log, each once and in the order of their rows."""
        found: list[str] = []

        async def whole() -> bool:
            found[:] = [row[0] for row in await self._requested(_EVENTS)]
            return len(found) >= self.written

        await eventually(whole, self.seconds)
        rows = await self._requested("select id from dead_letter order by id")
        assert found == [f"evt_{number}_0" for (number,) in rows]
        numbers = await self._requested("select number from event order by number")
        assert [number for (number,) in numbers] == list(range(1, len(numbers) + 1))
        return found

    async def _requested(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        def ask() -> list[tuple[Any, ...]]:
            with psycopg.connect(self.world.database_url) as connection:
                return connection.execute(query.encode(), values).fetchall()

        while True:
            try:
                return await asyncio.to_thread(ask)
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)

    async def taken(self, paths: Sequence[str], ids: Sequence[str]) -> None:
        """Wait until receivers have all events; in the log's order, where there is one."""
        whole = set(ids)

        async def all_there() -> bool:
            return all(whole <= {r.id for r in self.receivers.journal[path]} for path in paths)

        try:
            await eventually(all_there, self.seconds)
        except AssertionError:
            missing = {
                path: (
                    sorted(whole - set(self.receivers.ids(path))),
                    await self._requested(_LANE, self.endpoints[path]["id"]),
                )
                for path in paths
                if whole - set(self.receivers.ids(path))
            }
            raise AssertionError(f"of {len(ids)} events not all are there: {missing}") from None
        for path in paths:
            found = self.receivers.ids(path)
            assert set(found) == whole, path
            if not path.startswith("/any"):
                assert found == list(ids), path

    async def kill(self, name: str) -> None:
        """kill -9, and a new start while things happen."""
        if name == "postgres":
            await asyncio.to_thread(self.postgres.stop, signal.SIGKILL)
            await asyncio.to_thread(self.postgres.start)
            return
        await asyncio.to_thread(self.world.kill, name)
        await self.happen(3)
        self.world.start(name)

    def resident(self) -> int:
        """Bytes of memory of webhooks."""
        return psutil.Process(self.world.processes["webhooks"].pid).memory_info().rss


@asynccontextmanager
async def crowd(directory: Path, redis_url: str, size: Size) -> AsyncIterator[Crowd]:
    """Endpoints that get events."""
    with (
        own_postgres() as (postgres, url),
        listening(
            directory,
            url,
            redis_url,
            also=("webhooks",),
            TT_WEBHOOKS_ALLOWED_NETWORKS="127.0.0.0/8",
            TT_WEBHOOKS_RETRY_MS="20",
        ) as world,
    ):
        await asyncio.to_thread(world.wait_until_ready, "/webhook-endpoints")
        async with receiving() as receivers:
            made = Crowd(world, postgres, receivers, size.seconds)
            for number in range(size.good):
                await made.add(f"/{'ok' if number % 10 else 'any'}/{number}")
            for number in range(size.bad):
                await made.add(f"{_BAD[number % len(_BAD)]}/{number}")
            supervisor = asyncio.create_task(world.supervise())
            try:
                yield made
            finally:
                await cancel_all([supervisor])


async def _hold(directory: Path, redis_url: str, size: Size) -> None:
    rng = random.Random(size.events)  # noqa: S311 - a seed makes it repeatable
    async with crowd(directory, redis_url, size) as made:
        good = [path for path in made.endpoints if path.startswith(("/ok", "/any"))]
        await made.happen(size.events // 3)
        await made.taken(good, await made.ids())
        memory = made.resident()
        await made.happen(size.events - made.written)
        await made.taken(good, await made.ids())
        # What bad ones did not take is in the log, not in memory.
        assert made.resident() < memory + 32e6
        for name in rng.sample(_KILLED * size.rounds, size.rounds * len(_KILLED)):
            await made.happen(rng.randrange(5, 20))
            await made.kill(name)
        ids = await made.ids()
        await made.taken(good, ids)
        _was_held_up(made, ids)
        await _mended(made)
        await made.taken(list(made.endpoints), ids)
        _are_signed(made)


def _was_held_up(made: Crowd, ids: Sequence[str]) -> None:
    """Of the bad ones none has seen more than it has taken: nothing overtakes in a lane."""
    for path in made.endpoints:
        if path.startswith(("/slow", "/redirect", "/gone")):
            assert made.receivers.ids(path) == ids[:1], path
        if path.startswith("/busy"):
            seen = made.receivers.ids(path)
            assert seen == ids[: len(seen)], path


async def _mended(made: Crowd) -> None:
    """Have the bad ones be good; disabled and enabled again, each is tried at once."""
    await made.receivers.heal()
    await asyncio.to_thread(made.world.wait_until_ready, "/webhook-endpoints")
    listed = (await made.call("GET", "/webhook-endpoints"))["endpoints"]
    assert {one["id"] for one in listed} == {one["id"] for one in made.endpoints.values()}
    off = {one["id"] for one in listed if not one["enabled"]}
    assert off == {one["id"] for path, one in made.endpoints.items() if path.startswith("/gone")}
    for path, endpoint in made.endpoints.items():
        if path.startswith(_BAD):
            one = f"/webhook-endpoints/{endpoint['id']}"
            await made.call("PATCH", one, {"enabled": False})
            await made.call("PATCH", one, {"enabled": True})


def _are_signed(made: Crowd) -> None:
    for path, endpoint in made.endpoints.items():
        received = made.receivers.journal[path][-1]
        reported = Webhook(endpoint["secret"]).verify(received.body, dict(received.headers))
        assert reported["id"] == received.id
        Svix(endpoint["secret"]).verify(received.body, dict(received.headers))


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_every_journal_is_whole_over_kill_9_of_everything(
    redis_url: str, tmp_path: Path
) -> None:
    await _hold(tmp_path, redis_url, Size(good=12, bad=6, events=90, rounds=1, seconds=120))


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_hundred_journals_are_whole_over_kill_9_of_everything(
    redis_url: str, tmp_path: Path
) -> None:
    await _hold(tmp_path, redis_url, Size(good=90, bad=10, events=600, rounds=4, seconds=600))
