"""Claims that wait together are one SUBMITTING record of the executor, on a real database."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from aiohttp import web
from msgspec import structs

from services.executor import store
from services.executor.collar import Collar
from services.executor.core.pre_trade_limits import Limits, PreTradeLimits
from services.executor.recorder import Recorder
from services.executor.settings import Settings
from services.executor.worker import Executor
from tests.money_path.test_submitting_once import Database, database
from tests.money_path.world import eventually
from tests.unit.executor.test_sender import Far
from tests.unit.samples import order
from tradingtools import clock
from tradingtools.codec.claims import claim_payload, order_to_pb
from tradingtools.domain.order import Order
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.tasks import cancel_all
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import executor_service_pb2 as executor_pb
from tradingtools.venues.insiders.order_gateway import InsidersClient, open_client

__all__ = ["database"]
LIMITS = Limits()
SUBSCRIPTION = "sub_" + "a" * 32


def entry(name: str, *, not_after_ms: int | None = None) -> Order:
    """One of a wallet whose order counts."""
    made: Order = structs.replace(
        order(),
        order_key=hashlib.sha256(name.encode()).hexdigest(),
        copy_key=hashlib.sha256(b"copy" + name.encode()).hexdigest(),
        subscription_id=SUBSCRIPTION,
        not_after_ms=clock.now_ms() + 600_000 if not_after_ms is None else not_after_ms,
    )
    return made


@dataclass
class Scene:
    """An executor that has begun to read, and sends when it is told to."""

    database: Database
    executor: Executor
    far: Far
    pool: Pool
    client: InsidersClient

    def claim(self, orders: Sequence[Order], control_seq: int = 0) -> None:
        """Durable as the router makes it, and brought by its stream."""
        self.executor.queue.on_batch(self.durable(orders, control_seq), lambda: None)

    def durable(self, orders: Sequence[Order], control_seq: int = 0) -> pb.OrderBatch:
        """Durable as the router makes it; what its stream would bring."""
        payload = claim_payload(
            orders, control_seq=control_seq, traceparent="", received_ns=0, routed_ns=0
        )
        row = self.database.execute(
            "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
            " values ('CLAIMED', 'router', %s, 0, 1, %s, %s) returning seq",
            [orders[0].order_key, payload, len(orders)],
        ).fetchone()
        assert row is not None
        return pb.OrderBatch(
            journal_seq=row["seq"],
            control_seq=control_seq,
            orders=[order_to_pb(each) for each in orders],
        )

    async def ended(self, count: int) -> None:
        """Wait for the rows of so many orders that are neither claimed nor under way."""

        async def there() -> bool:
            return sum(v for k, v in self.states().items() if k in ("SUBMITTED", "FAILED")) == count

        await eventually(there)

    def states(self) -> Counter[str]:
        rows = self.database.execute("select state from orders").fetchall()
        return Counter(row["state"] for row in rows)

    def commits(self) -> list[int]:
        """Orders of each record that lets something be sent."""
        rows = self.database.execute(
            "select order_count from journal where role = 'executor' order by seq"
        ).fetchall()
        return [row["order_count"] for row in rows]


@asynccontextmanager
async def scene(
    database: Database,
    database_url: str,
    *,
    connections: int = 256,
    breaker: bool = False,
    limits: Limits = LIMITS,
    collar: Collar | None = None,
    insiders_url: str = "",
) -> AsyncIterator[Scene]:
    """Up to so many connections; a breaker opens with the first failure, or never.

    The far side is one of its own, or what stands at ``insiders_url``.
    """
    far = Far()
    app = web.Application()
    app.router.add_post("/api/trade/{side}", far.answer)
    app.router.add_get("/api/capabilities", far.capabilities)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    lease = Lease(role="executor", partition=0, epoch=1)
    tail: Tail[executor_pb.OrderEvent] = Tail(0, _no_events)
    settings = Settings(
        router_target="",
        guard_target="",
        bookfeed_target="",
        insiders_url="",
        breaker_failures=1 if breaker else 1_000_000,
        breaker_open_ms=600_000,
        breaker_longest_ms=600_000,
    )
    url = insiders_url or f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with (
            open_pool(database_url, name="together", size=3) as pool,
            open_client(url, limit=connections, warm=4) as client,
        ):
            executor = Executor(
                pool, lease, client, settings, PreTradeLimits(limits), collar=collar
            )
            line = executor.queue
            executor.recorder = Recorder(pool, lease, tail, line.done, line.release)
            running: list[asyncio.Task[Any]] = [asyncio.create_task(executor.recorder.run())]
            here = Scene(database, executor, far, pool, client)
            try:
                yield here
            finally:
                await cancel_all(running)
    finally:
        await runner.cleanup()


async def _no_events(after: int, limit: int) -> list[tuple[int, executor_pb.OrderEvent]]:
    return []


@asynccontextmanager
async def sending(here: Scene) -> AsyncIterator[None]:
    task = asyncio.create_task(here.executor.submit())
    try:
        yield
    finally:
        await cancel_all([task])


async def test_twenty_claims_are_one_commit_and_leave_in_order(
    database: Database, database_url: str
) -> None:
    burst = [entry(f"burst-{n}") for n in range(20)]
    subscribe(database, version=1)
    async with scene(database, database_url) as here:
        for each in burst:
            here.claim([each])
        async with sending(here):
            await here.ended(20)
        assert here.commits() == [20]
        assert here.states() == {"SUBMITTED": 20}
        assert here.far.came == [each.order_key for each in burst]


async def test_late_order_fails_alone_and_a_batch_has_a_hundred(
    database: Database, database_url: str
) -> None:
    subscribe(database, version=1)
    async with scene(database, database_url) as here:
        for n in range(30):
            here.claim([entry(f"{n}-{k}") for k in range(4)])
        late = entry("late", not_after_ms=1)
        here.claim([late])
        async with sending(here):
            await here.ended(121)
        assert here.commits() == [100, 20]
        assert here.states() == {"SUBMITTED": 120, "FAILED": 1}
        assert late.order_key not in here.far.came
        assert len(here.far.came) == len(set(here.far.came)) == 120


async def test_a_change_after_the_oldest_of_the_claims_is_looked_at(
    database: Database, database_url: str
) -> None:
    """The claim that knows of the change does not answer for the one before it."""
    stale, knowing = entry("stale"), entry("knowing")
    changed = subscribe(database, version=2)
    async with scene(database, database_url) as here:
        here.claim([stale], control_seq=changed - 1)
        here.claim([structs.replace(knowing, subscription_version=2)], control_seq=changed)
        async with sending(here):
            await here.ended(2)
        assert here.far.came == [knowing.order_key]
        row = database.execute(
            "select reason, failed_kind from orders where order_key = %s", [stale.order_key]
        ).fetchone()
        assert row == {"reason": "SUBSCRIPTION_CHANGED", "failed_kind": "UNSENT"}


async def test_claim_with_one_refused_write_fails_without_a_restart(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = entry("late", not_after_ms=1)
    refusals = 2
    record = store.record

    async def refusing(*arguments: Any) -> dict[str, int]:
        nonlocal refusals
        if arguments[3] and refusals:
            refusals -= 1
            raise psycopg.errors.InternalError_("nobody has thought of this")
        return await record(*arguments)

    monkeypatch.setattr(store, "record", refusing)
    async with scene(database, database_url) as here, sending(here):
        polling = asyncio.create_task(here.executor.queue.poll())
        try:
            here.claim([late])
            await here.ended(1)
        finally:
            await cancel_all([polling])
        assert refusals == 0
        assert here.states() == {"FAILED": 1}


def subscribe(database: Database, *, version: int) -> int:
    """The subscription that entries are of, as control writes it; returns the change's number."""
    with database.transaction():
        row = database.execute(
            "select append_control_change('test', 'test', 'test', 'subscription', %s, '{}', '{}')"
            " as seq",
            [SUBSCRIPTION],
        ).fetchone()
        assert row is not None
        database.execute(
            "insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy,"
            " leader, state, version, sizing_mode, sizing_micros, changed_seq)"
            " values (%s, 'u', 'w', %s, %s, 'ACTIVE', %s, 'FIXED', 1, %s)",
            [SUBSCRIPTION, order().follower.proxy, order().leader, version, row["seq"]],
        )
        return int(row["seq"])
