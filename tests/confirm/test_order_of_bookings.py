"""Bookings are committed in the order of their numbers, whoever commits them and however late.

A reader goes on after the last number that it has seen. A backend whose client has given up may
still commit: of a booking with a smaller number nobody would hear.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.confirm import payouts, resolutions, store
from services.confirm.booking_batcher import BookingBatcher
from services.confirm.bookings import load_bookings
from services.confirm.store import ReportedOrder
from tests.confirm.conftest import SIZE, Orders, reported, trade
from tests.money_path.world import eventually
from tradingtools.domain.venue_order import TradeStatus
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres.pool import Pool, open_pool

Book = Callable[[Pool], Awaitable[object]]
"""Books one thing over a connection of a pool."""
Prepare = Callable[[Orders], Awaitable[Book]]


async def _answer(orders: Orders) -> Book:
    key = await orders.make("SUBMITTED")
    received = ReportedOrder(
        order_key=key, answer=reported(key, trade(f"t{key}", TradeStatus.CONFIRMED))
    )
    return lambda pool: store.take(pool, orders.lease, [received], 1)


async def _decision(orders: Orders) -> Book:
    key = await orders.make("DEAD")
    (requested,) = await orders.sql(
        "insert into order_resolution (order_key, from_state, to_state, epoch, operator, evidence,"
        " filled_size_micros, filled_notional_micros, fee_micros, control_seq)"
        " values (%s, 'DEAD', 'CONFIRMED', 0, 'ann', 'seen', %s, %s, 0, 1) returning *",
        key, SIZE, SIZE // 2,
    )  # fmt: skip
    return lambda pool: resolutions.carry_out(pool, orders.lease, requested, 1)


async def _payout(orders: Orders) -> Book:
    await (await _answer(orders))(orders.pool)
    market = (orders.wallet, "0xc", {"1": 500_000})
    return lambda pool: payouts.pay_market(pool, orders.lease, *market)


@asynccontextmanager
async def _late_commits(orders: Orders) -> AsyncIterator[None]:
    """Within the block those who are called late wait in their COMMIT; their numbers are taken."""
    await orders.sql(
        "create function wait_if_late() returns trigger language plpgsql as $$ begin"
        " if current_setting('application_name') = 'tradingtools-late' then"
        " perform pg_advisory_xact_lock_shared(1); end if; return null; end $$"
    )
    await orders.sql(
        "create constraint trigger late after insert on booking deferrable initially deferred"
        " for each row execute function wait_if_late()"
    )
    try:
        async with orders.pool.connection() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(1)")
            yield
    finally:
        await orders.sql("drop function wait_if_late cascade")


async def _waiting(orders: Orders) -> int:
    """Return how many wait for an advisory lock."""
    (row,) = await orders.sql(
        "select count(*)::int as n from pg_locks l join pg_database d on d.oid = l.database"
        " where d.datname = current_database() and l.locktype = 'advisory' and not l.granted"
    )
    return int(str(row["n"]))


@pytest.mark.parametrize(
    ("left_behind", "following"),
    [
        (_answer, _answer), (_decision, _answer), (_payout, _answer),
        (_answer, _decision), (_answer, _payout),
    ],
)  # fmt: skip
async def test_no_number_is_committed_after_a_larger_one(
    orders: Orders, shared_url: str, left_behind: Prepare, following: Prepare
) -> None:
    leave, book = await left_behind(orders), await following(Orders(orders.pool, orders.lease))
    started = (await store.fetch(orders.pool, "last_booking"))[0]["seq"]
    tail = Tail(started, lambda after, limit: load_bookings(orders.pool, after, limit))
    async with (
        open_pool(shared_url, name="late", size=1) as late_pool,
        open_pool(shared_url, name="soon", size=1) as pool,
    ):
        booker = BookingBatcher(pool, orders.lease, tail)
        async with _late_commits(orders):
            late = asyncio.ensure_future(leave(late_pool))
            await eventually(lambda: _is(orders, 1))
            soon = asyncio.create_task(booker.write(lambda: book(pool)))
            await eventually(lambda: _is(orders, 2, or_done=soon))
        await asyncio.gather(late, soon)
        await booker.publish()
    booked = await orders.sql("select fill_seq from booking where fill_seq > %s", started)
    async for _, fills in tail.follow(started):
        assert {fill.fill_seq for fill in fills} == {row["fill_seq"] for row in booked}
        break


async def _is(orders: Orders, waiting: int, *, or_done: asyncio.Task[object] | None = None) -> bool:
    return await _waiting(orders) == waiting or (or_done is not None and or_done.done())
