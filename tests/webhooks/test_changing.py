"""A change of an endpoint that fails, whose caller leaves, or beside which there is another one,
and an event that the log does not have: nothing of it stops a delivery.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from unittest.mock import Mock

import psycopg
import pytest
import pytest_asyncio
from psycopg.rows import tuple_row

from services.webhooks.core.addresses import networks
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.keeper import Keeper
from services.webhooks.runner import Parts
from services.webhooks.sender import sending
from services.webhooks.server import WebhookServicer
from services.webhooks.store import Endpoint, Store
from tests.money_path.world import eventually
from tests.webhooks.receivers import Receivers, receiving
from tradingtools import clock
from tradingtools.domain.event import Event, cloud_event
from tradingtools.runtime.event_feed import EventFeed, ResultCache
from tradingtools.storage.postgres import event_log, lease
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.tasks import cancel_all
from tradingtools.v1 import webhook_service_pb2 as pb

_ID = f"whk_{'0' * 32}"
_LOCK = "lock table webhook_endpoint in access exclusive mode"
_WAITING = "select pid from pg_locks where not granted and relation = 'webhook_endpoint'::regclass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A dispatcher with one endpoint, and one who can hold up its database."""

    dispatcher: Dispatcher
    store: Store
    servicer: WebhookServicer
    feed: EventFeed
    receivers: Receivers
    parts: Parts
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

    def happens(self) -> Event:
        """Append an event, to memory alone."""
        number = self.feed.last + 1
        event = Event(
            log_number=number, part=0, type="message.quarantined", subject="messages/1",
            at=datetime.now(UTC), data="{}",
        )  # fmt: skip
        self.feed.append(number, event)
        return event

    async def logged(self, event: Event) -> None:
        """Put an event into the log."""
        await self.other.execute(
            "insert into event (number, log_number, part, type, subject, occurred_at,"
            " follower_proxy, subscription_id, traceparent, data)"
            " values (%s, %s, %s, %s, %s, %s, '', '', '', '{}')",
            (event.log_number, event.log_number, event.part, event.type, event.subject, event.at),
        )
        await self.other.commit()

    @asynccontextmanager
    async def again(self) -> AsyncIterator[Dispatcher]:
        """Another dispatcher, which knows of what is under way what was written."""
        await self.dispatcher.stop()
        await self.parts.keeper.write()
        made = Dispatcher(self.store, 10)
        await made.begin(replace(self.parts, report=made.report))
        running = asyncio.create_task(made.run())
        try:
            yield made
            assert not running.done()
        finally:
            await cancel_all([running])
            await made.stop()

    async def delivers(self, path: str = "/ok") -> None:
        """Wait until the next event is taken."""
        event = self.happens()

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
            feed=feed, pool=pool, sender=sender, keeper=Keeper(store),
            bodies=ResultCache(cloud_event),
            first_pause_ms=50, report=dispatcher.report,
        )  # fmt: skip
        await dispatcher.begin(parts)
        endpoint = Endpoint(
            id=_ID, url=receivers.url("/ok"), types=(), description="", ordering="LOG",
            created_at=datetime.now(UTC), secrets={},
        )  # fmt: skip
        await dispatcher.create(endpoint, "t", None)
        made = Desk(
            dispatcher=dispatcher,
            store=store,
            servicer=WebhookServicer(dispatcher, store, pool, networks("127.0.0.0/8")),
            feed=feed,
            receivers=receivers,
            parts=parts,
            other=other,
        )
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


async def test_two_changes_at_once_are_both_kept(desk: Desk) -> None:
    caller = Mock(invocation_metadata=tuple)
    requested = [
        pb.UpdateWebhookEndpointRequest(id=_ID, url=desk.receivers.url("/moved")),
        pb.UpdateWebhookEndpointRequest(id=_ID, description="moved"),
        pb.UpdateWebhookEndpointRequest(id=_ID, types=["message.*"]),
    ]
    await desk.other.execute(_LOCK)
    changes = [
        asyncio.create_task(desk.servicer.UpdateWebhookEndpoint(one, caller)) for one in requested
    ]
    # All have begun: the first one waits for the database, the others for it.
    await desk.waiting()
    await desk.other.rollback()
    await asyncio.gather(*changes)
    kept = desk.dispatcher.one(_ID).endpoint
    assert (kept.url, kept.description, kept.types) == (requested[0].url, "moved", ("message.*",))
    await desk.delivers("/moved")


async def test_an_event_that_is_not_in_the_log_yet_is_waited_for(desk: Desk) -> None:
    desk.receivers.answers["/ok"] = 500
    event = desk.happens()
    await eventually(lambda: _sent(desk, event))
    async with desk.again() as dispatcher:

        async def waits() -> bool:
            pending = dispatcher.one(_ID).lane.pending
            return bool(pending) and pending[event.log_number].next_ms > clock.now_ms() + 2_000

        await eventually(waits)
        del desk.receivers.answers["/ok"]
        desk.receivers.journal.clear()
        await desk.logged(event)
        await eventually(lambda: _sent(desk, event))
        await desk.delivers()


async def test_an_event_that_is_no_more_in_the_log_holds_up_no_other(desk: Desk) -> None:
    desk.receivers.answers["/ok"] = 500
    event = desk.happens()
    await eventually(lambda: _sent(desk, event))
    await desk.logged(desk.happens())
    del desk.receivers.answers["/ok"]
    async with desk.again() as dispatcher:
        await desk.delivers()
        assert not dispatcher.one(_ID).lane.pending


async def test_what_waits_is_told_by_its_age_unless_its_receiver_fails(desk: Desk) -> None:
    async def waits() -> bool:
        return desk.dispatcher.waited_ms() > 0

    async def idle() -> bool:
        return not await waits()

    assert await idle()
    slow = partial(replace, url=desk.receivers.url("/slow"))
    await desk.dispatcher.update(_ID, slow, "t")
    event = desk.happens()
    await eventually(waits)
    desk.receivers.well.set()
    await eventually(idle)
    assert event.id in desk.receivers.ids("/slow")
    desk.receivers.answers["/slow"] = 500
    event = desk.happens()

    async def fails() -> bool:
        runner = desk.dispatcher.one(_ID)
        return event.log_number in runner.lane.pending and runner.lane.failing_since_ms is not None

    await eventually(fails)
    assert await idle()


async def _sent(desk: Desk, event: Event) -> bool:
    return event.id in desk.receivers.ids("/ok")
