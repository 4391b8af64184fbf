"""A change of an endpoint that fails, or whose caller leaves, stops no delivery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest
import pytest_asyncio
from psycopg.rows import tuple_row

from services.webhooks.core.addresses import networks
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.keeper import Keeper
from services.webhooks.runner import Parts
from services.webhooks.sender import sending
from services.webhooks.store import Endpoint, Store
from tests.money_path.world import eventually
from tests.webhooks.receivers import Receivers, receiving
from tradingtools.domain.event import Event, cloud_event
from tradingtools.runtime.event_feed import EventFeed, Kept
from tradingtools.storage.postgres import event_log, lease
from tradingtools.storage.postgres.pool import open_pool

_ID = f"whk_{'0' * 32}"
_LOCK = "lock table webhook_endpoint in access exclusive mode"
_WAITING = "select pid from pg_locks where not granted and relation = 'webhook_endpoint'::regclass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A dispatcher with one endpoint, and one who can hold up its database."""

    dispatcher: Dispatcher
    feed: EventFeed
    receivers: Receivers
    other: psycopg.AsyncConnection[tuple[int]]

    async def waiting(self) -> int:
        """Wait until a change waits for the database; return its connection's process."""
        found: list[int] = []

        async def there() -> bool:
            cursor = await self.other.execute(_WAITING)
            found[:] = [pid for (pid,) in await cursor.fetchall()]
            return bool(found)

        await eventually(there)
        return found[0]

    async def delivers(self, path: str = "/ok") -> None:
        """Wait until the next event is taken."""
        number = self.feed.last + 1
        event = Event(
            log_number=number, part=0, type="message.quarantined", subject="messages/1",
            at=datetime.now(UTC), data="{}",
        )  # fmt: skip
        self.feed.append(number, event)

        async def there() -> bool:
            return event.id in self.receivers.ids(path)

        await eventually(there)


@pytest_asyncio.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """A dispatcher that delivers."""
    async with (
        receiving() as receivers,
        open_pool(database_url, name="webhooks", size=3) as pool,
        sending(networks("127.0.0.0/8"), timeout_seconds=5) as sender,
        await psycopg.AsyncConnection.connect(database_url, row_factory=tuple_row) as other,
    ):
        store = Store(pool, await lease.acquire(pool, "webhooks", 0, "webhooks-0"))
        dispatcher = Dispatcher(store, 10)
        feed = EventFeed(0, partial(event_log.after, pool))
        parts = Parts(
            feed=feed, pool=pool, sender=sender, keeper=Keeper(store), bodies=Kept(cloud_event),
            first_pause_ms=50, tell=dispatcher.tell,
        )  # fmt: skip
        await dispatcher.begin(parts)
        endpoint = Endpoint(
            id=_ID, url=receivers.url("/ok"), types=(), description="", ordering="LOG",
            created_at=datetime.now(UTC), secrets={},
        )  # fmt: skip
        await dispatcher.create(endpoint, "t", None)
        made = Desk(dispatcher=dispatcher, feed=feed, receivers=receivers, other=other)
        await made.delivers()
        try:
            yield made
        finally:
            await other.rollback()
            await dispatcher.stop()


async def test_a_delete_that_fails_leaves_an_endpoint_that_delivers(desk: Desk) -> None:
    await desk.other.execute(_LOCK)
    deleting = asyncio.create_task(desk.dispatcher.delete(_ID, "t"))
    await desk.other.execute("select pg_terminate_backend(%s)", (await desk.waiting(),))
    with pytest.raises(psycopg.OperationalError):
        await deleting
    await desk.other.rollback()
    await desk.delivers()


async def test_a_change_is_carried_through_though_its_caller_leaves(desk: Desk) -> None:
    before = desk.dispatcher.one(_ID).endpoint
    await desk.other.execute(_LOCK)
    deleting = asyncio.create_task(desk.dispatcher.delete(_ID, "t"))
    await desk.waiting()
    deleting.cancel()
    with suppress(asyncio.CancelledError):
        await deleting
    await desk.other.rollback()

    async def gone() -> bool:
        return not desk.dispatcher.all()

    await eventually(gone)
    made, _ = await desk.dispatcher.create(before, "t", None)
    assert made.endpoint.enabled
    await desk.delivers()
