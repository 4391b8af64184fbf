"""Ended orders are asked for again without holding up those that are open."""

from __future__ import annotations

import asyncio
from typing import Any

from services.confirm.booking_batcher import BookingBatcher
from services.confirm.bookings import load_bookings
from services.confirm.core.unknown_order_policy import LookupResult
from services.confirm.order_monitor import OrderMonitor
from services.confirm.settings import Settings
from services.confirm.store import ReportedOrder
from services.confirm.worker import Confirm
from tests.confirm.conftest import Orders, reported, trade
from tests.money_path.world import eventually
from tradingtools.domain.venue_order import TradeStatus, VenueOrder
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.process import until_stopped

DONE = TradeStatus.CONFIRMED
AT_A_TIME = 2


class FarSide:
    """Answers for what it knows, at once or when it is told to."""

    def __init__(self) -> None:
        self.orders: dict[str, VenueOrder] = {}
        self.slow: set[str] = set()
        self.requested: set[str] = set()
        self.answers = asyncio.Event()

    async def look_up(self, order_key: str) -> tuple[LookupResult, VenueOrder | None]:
        """Ask for a key."""
        self.requested.add(order_key)
        if order_key in self.slow:
            await self.answers.wait()
        order = self.orders.get(order_key)
        return (LookupResult.FOUND, order) if order is not None else (LookupResult.NO_ANSWER, None)


def _booker(orders: Orders) -> BookingBatcher:
    tail: Tail[Any] = Tail(0, lambda after, limit: load_bookings(orders.pool, after, limit))
    return BookingBatcher(orders.pool, orders.lease, tail)


def _confirm(
    orders: Orders, far: Any, booker: BookingBatcher | None = None
) -> tuple[Confirm, OrderMonitor]:
    settings = Settings(
        executor_target="127.0.0.1:1", insiders_url="http://127.0.0.1:1", parallel=AT_A_TIME,
        poll_ms=20, watch_first_ms=100, watch_parallel=64,
    )  # fmt: skip
    confirm = Confirm(orders.pool, booker or _booker(orders), far, settings)
    return confirm, OrderMonitor(orders.pool, confirm, settings)


async def _confirmed(orders: Orders, far: FarSide) -> str:
    """An order whose end is known here and there, and that is due to be asked for again."""
    key = await orders.make("SUBMITTED")
    far.orders[key] = reported(key, trade("t1", DONE))
    await orders.take(key, far.orders[key])
    await orders.sql("update orders set next_check_at = now() where order_key = %s", key)
    return key


async def _requested_again_at(orders: Orders, key: str) -> object:
    return (await orders.row(key))["next_check_at"]


async def test_an_answer_that_is_known_takes_no_lock(orders: Orders) -> None:
    far = FarSide()
    key = await _confirmed(orders, far)
    _, watch = _confirm(orders, far)
    before = await _requested_again_at(orders, key)
    async with orders.pool.connection() as other, other.transaction():
        # Whoever books waits for this until the database gives him up.
        await other.execute("select 1 from partition_lease where role = 'confirm' for update")
        await watch.poll()
    assert await _requested_again_at(orders, key) != before
    far.orders[key] = reported(key, trade("t1", TradeStatus.FAILED))
    await orders.sql("update orders set next_check_at = now() where order_key = %s", key)
    await watch.poll()
    assert (await orders.row(key))["state"] == "RESURRECTED", "news is taken all the same"


async def test_the_past_waits_while_the_present_is_behind(orders: Orders) -> None:
    far = FarSide()
    ended = await _confirmed(orders, far)
    before = await _requested_again_at(orders, ended)
    for _ in range(AT_A_TIME + 1):
        key = await orders.make("SUBMITTED")
        far.orders[key] = reported(key, trade("t1", DONE))
        far.slow.add(key)
    confirm, watch = _confirm(orders, far)
    stop = asyncio.Event()
    looking = asyncio.create_task(until_stopped(stop, confirm.poll_due()))
    try:

        async def behind() -> bool:
            return confirm.behind

        await eventually(behind)
        assert await watch.poll() == 0
        assert await _requested_again_at(orders, ended) == before

        async def caught_up() -> bool:
            return not confirm.behind

        far.answers.set()
        await eventually(caught_up)
        assert await watch.poll() > 0
        assert await _requested_again_at(orders, ended) != before
    finally:
        stop.set()
        await looking


async def test_while_answers_wait_accepted_orders_are_not_asked_for(orders: Orders) -> None:
    far, booker = FarSide(), _booker(orders)
    accepted, late = await orders.make("SUBMITTED"), await orders.make("SUBMITTED")
    for key, seconds in ((accepted, 0), (late, 60)):
        await orders.sql(
            "update orders set next_check_at = now() - make_interval(secs => %s)"
            " where order_key = %s",
            seconds, key,
        )  # fmt: skip
    confirm, watch = _confirm(orders, far, booker)
    released, stop = asyncio.Event(), asyncio.Event()
    writing = asyncio.create_task(booker.write(released.wait))
    answer = reported(accepted, trade("t1", TradeStatus.MATCHED), closed=False)
    waiting = asyncio.create_task(confirm.take(accepted, answer))
    await asyncio.sleep(0)
    looking = asyncio.create_task(until_stopped(stop, confirm.poll_due()))
    try:

        async def requested() -> bool:
            return late in far.requested

        await eventually(requested)
        assert accepted not in far.requested
        assert await watch.poll() == 0
        released.set()
        await waiting

        async def asked_for_all() -> bool:
            return accepted in far.requested

        await eventually(asked_for_all)
    finally:
        released.set()
        stop.set()
        await asyncio.gather(writing, waiting, looking)


async def test_behind_a_crowds_batch_more_is_expected(orders: Orders) -> None:
    booker = _booker(orders)
    keys = [await orders.make("SUBMITTED") for _ in range(50)]

    async def take(key: str) -> object:
        return await booker.take(
            ReportedOrder(order_key=key, answer=reported(key, trade(key[:9], DONE)))
        )

    await take(keys[0])
    assert not booker.behind
    await asyncio.gather(*map(take, [*keys[1:], await orders.make("SUBMITTED")]))
    assert booker.behind
