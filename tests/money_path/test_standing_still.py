"""Test that who stands still within a transaction holds up the others for a moment only, and then
goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import psycopg
import pytest

from tests.money_path.world import Scene, World, eventually, world
from tradingtools.runtime.consumer import TRIES, Consumer
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.v1 import ingest_service_pb2 as ingest_pb

_MOMENT_SECONDS = 4.0
"""The two seconds that a connection may stand still, and what a busy machine adds, by PostgreSQL's
clock: how late the test looks is no part of it."""
_OF_LOT = "select 1 from lot for update"
_OF_HISTORY = "lock table order_event in share mode"


async def _stop_within_a_transaction(
    made: World, database_url: str, name: str, lock: str, work: Callable[[], None]
) -> None:
    """Stop a process between two statements of a transaction that waits for a lock now."""

    async def waits() -> bool:
        return bool(_backends(made, name, "wait_event_type = 'Lock'"))

    async def stands() -> bool:
        return bool(_backends(made, name, "state = 'idle in transaction'"))

    async with await psycopg.AsyncConnection.connect(database_url) as holder:
        await holder.execute(lock)
        work()
        await eventually(waits)
        made.freeze(name)
    await eventually(stands)


def _backends(made: World, name: str, which: str) -> list[dict[str, object]]:
    return made.sql(
        "select pid, extract(epoch from clock_timestamp() - state_change)::float8 as age"
        " from pg_stat_activity where application_name like %s and " + which,
        f"tradingtools-{name}%",
    )


@asynccontextmanager
async def _holding(database_url: str, redis_url: str, directory: Path) -> AsyncIterator[Scene]:
    """A follower who has bought once."""
    async with world(database_url, redis_url, directory) as made:
        await made.start_all()
        scene = made.scene()
        await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
        await scene.subscribe(1)
        scene.put(scene.trade(size="100", price="0.5"))
        await scene.settled(1)
        yield scene


@pytest.mark.parametrize(
    ("name", "lock", "side"),
    [
        ("confirm", _OF_LOT, "BUY"),
        ("router", _OF_LOT, "SELL"),
        ("executor", _OF_HISTORY, "BUY"),
    ],
)
async def test_quarantine_frees_resources_and_works_once(
    database_url: str, redis_url: str, tmp_path: Path, name: str, lock: str, side: str
) -> None:
    async with _holding(database_url, redis_url, tmp_path) as scene:
        made, held = scene.world, scene.lot()["shares_micros"]

        def trade() -> None:
            price = "0.5" if side == "BUY" else "0.49"
            scene.put(scene.trade(side, size="100", price=price, held="100"))

        await _stop_within_a_transaction(made, database_url, name, lock, trade)
        ages = [0.0]

        async def free() -> bool:
            found = _backends(made, name, "state = 'idle in transaction'")
            ages.extend(cast(float, one["age"]) for one in found)
            return not found

        await eventually(free)
        made.thaw(name)
        await scene.settled(2)
        assert max(ages) < _MOMENT_SECONDS
        await _judge(scene, held * 2 if side == "BUY" else 0)
        assert made.ended() == [], "it goes on, and no other life of it has to"


async def test_message_is_not_quarantined_for_ended_transactions(
    database_url: str,
) -> None:
    started = 0

    async def handle(_: ingest_pb.LeaderTradeEvent) -> None:
        nonlocal started
        started += 1
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("set local idle_in_transaction_session_timeout = '200ms'")
            # Busy with something else, not waiting for an answer.
            await asyncio.sleep(0.5 if started <= TRIES else 0)
            await connection.execute("select 1")

    async with open_pool(database_url, name="test", size=2) as pool:
        consumer = Consumer(pool, "stream", "consumer", ingest_pb.LeaderTradeEvent, handle)
        await consumer.take(ingest_pb.LeaderTradeEvent(), "1")
        async with pool.connection() as connection:
            found = await connection.execute("select reason from dead_letter")
            assert await found.fetchall() == []
    assert started == TRIES + 1


async def _judge(scene: Scene, shares: int) -> None:
    """Sent once, booked once, nothing is left reserved."""
    assert [order["state"] for order in scene.orders()] == ["CONFIRMED"] * 2
    assert len(await scene.posted()) == 2
    assert len(scene.decisions()) == 2
    assert scene.lot()["shares_micros"] == shares
    assert scene.open_reservations() == []
    booked = scene.world.sql(
        "select order_key, trade_id, kind, count(*) from booking group by 1, 2, 3"
    )
    assert {row["count"] for row in booked} == {1}
