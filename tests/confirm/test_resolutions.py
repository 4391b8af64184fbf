"""Operators end what nobody else can: recorded by control, booked by confirm, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio as redis

from services.confirm import resolutions as carrying
from services.confirm import store
from services.control.auth.operator import Operator
from services.control.auth.tokens import Caller
from services.control.operators.resolutions import Decision, Resolutions
from services.control.store import Store
from tests.confirm.conftest import SIZE, Orders, reported, trade
from tests.money_path.world import eventually
from tradingtools.domain.errors import Conflict, NotFound, WrongState
from tradingtools.domain.order_states import OrderState as S
from tradingtools.domain.permissions import Permission
from tradingtools.domain.venue_order import TradeStatus

FILLED = (SIZE // 2, SIZE // 5, 7)
BIT = SIZE // 4
ANN = Operator(Caller("ann", Permission.OPERATE))


async def _at_once(work: Callable[[], Awaitable[str]]) -> str:
    return await work()


class Desk:
    """An operator at control, with confirm behind it."""

    def __init__(self, orders: Orders, client: redis.Redis) -> None:
        self.orders = orders
        pool = orders.pool
        self.resolutions = Resolutions(Store(pool, client, changes=pool))

    async def confirm_works(self) -> None:
        """Return what confirm does, for ever."""
        while True:
            await carrying.poll(self.orders.pool, self.orders.lease, _at_once)
            await asyncio.sleep(0.02)

    async def end(self, key: str, state: S, filled: Any = None, by: str = "ann") -> tuple[S, int]:
        decision = Decision(
            order_key=key, to_state=state, evidence="seen at the venue", operator=by, filled=filled
        )
        work = asyncio.create_task(self.confirm_works())
        try:
            return await self.resolutions.resolve(ANN, decision)
        finally:
            work.cancel()


@pytest_asyncio.fixture
async def desk(orders: Orders, redis_url: str) -> AsyncIterator[Desk]:
    """An operator of this test."""
    async with redis.Redis.from_url(redis_url) as client:
        yield Desk(orders, client)


async def _lot(orders: Orders) -> dict[str, object]:
    (lot,) = await orders.sql(
        "select shares_micros, cost_micros, fee_micros from lot where follower_proxy = %s",
        orders.wallet,
    )
    return lot


async def test_filled_dead_order_is_booked_and_released_once(desk: Desk) -> None:
    orders = desk.orders
    key = await orders.make("DEAD")
    first = await desk.end(key, S.CONFIRMED, FILLED)
    assert first[0] is S.CONFIRMED
    assert await desk.end(key, S.CONFIRMED, FILLED) == first, "repeating it changes nothing"
    row = await orders.row(key)
    assert (row["state"], row["reason"], row["reserved"]) == ("CONFIRMED", "OPERATOR", False)
    assert tuple((await _lot(orders)).values()) == FILLED
    changes = await orders.sql(
        "select action, before, after from control_change where subject_id = %s", key
    )
    (change,) = changes
    assert change["action"] == "resolve"
    assert change["before"]["state"] == "DEAD"  # type: ignore[index]
    assert change["after"]["evidence"] == "seen at the venue"  # type: ignore[index]
    assert change["after"]["operator"] == "ann"  # type: ignore[index]
    kinds = await orders.sql("select kind from booking where order_key = %s order by 1", key)
    assert [k["kind"] for k in kinds] == ["CLOSED", "CONFIRMED", "MATCHED"]
    watched = await store.fetch(orders.pool, "watched", limit=1000, first_ms=0)
    assert key not in {w["order_key"] for w in watched}, "a person has decided"


async def test_a_dead_order_that_never_was_releases_its_money(desk: Desk) -> None:
    key = await desk.orders.make("DEAD")
    assert (await desk.end(key, S.FAILED))[0] is S.FAILED
    row = await desk.orders.row(key)
    assert (row["failed_kind"], row["reserved"]) == ("KILLED", False)


async def test_a_resurrected_order_keeps_what_is_booked(desk: Desk) -> None:
    key = await desk.orders.make("LOST")
    await desk.orders.take(key, reported(key, trade("t1", TradeStatus.MATCHED, BIT)))
    assert (await desk.end(key, S.CONFIRMED))[0] is S.CONFIRMED
    assert (await _lot(desk.orders))["shares_micros"] == BIT
    assert not (await desk.orders.row(key))["reserved"]


async def test_a_resurrected_order_whose_match_failed_is_undone(desk: Desk) -> None:
    key = await desk.orders.make("LOST")
    await desk.orders.take(key, reported(key, trade("t1", TradeStatus.MATCHED, BIT)))
    assert (await desk.end(key, S.FAILED))[0] is S.FAILED
    row = await desk.orders.row(key)
    assert (row["failed_kind"], row["filled_size_micros"]) == ("UNDONE", 0)
    assert (await _lot(desk.orders))["shares_micros"] == 0


@pytest.mark.parametrize(
    ("filled", "why"),
    [(None, "has to be told"), ((SIZE + 1, 1, 0), "more than"), ((BIT - 1, 1, 0), "not contain")],
)
async def test_fills_that_do_not_fit_are_refused_and_change_nothing(
    desk: Desk, filled: Any, why: str
) -> None:
    key = await desk.orders.make("DEAD" if filled is None else "LOST")
    if filled is not None:
        await desk.orders.take(key, reported(key, trade("t1", TradeStatus.MATCHED, BIT)))
    before = await desk.orders.row(key)
    with pytest.raises(WrongState, match=why):
        await desk.end(key, S.CONFIRMED, filled)
    assert await desk.orders.row(key) == before
    # A refusal is no end: the right word is heard afterwards.
    assert (await desk.end(key, S.CONFIRMED, FILLED))[0] is S.CONFIRMED


async def test_a_final_fill_cannot_be_talked_away(desk: Desk) -> None:
    key = await desk.orders.make("LOST")
    await desk.orders.take(key, reported(key, trade("t1", TradeStatus.CONFIRMED, BIT)))
    with pytest.raises(WrongState, match="final"):
        await desk.end(key, S.FAILED)


@pytest.mark.parametrize("path", ["SUBMITTED", "UNKNOWN", "LOST", "KILLED"])
async def test_what_does_not_wait_for_a_person_is_refused(desk: Desk, path: str) -> None:
    key = await desk.orders.make(path)
    with pytest.raises(WrongState):
        await desk.end(key, S.CONFIRMED, FILLED)
    assert await desk.orders.sql("select 1 from order_resolution where order_key = %s", key) == []
    with pytest.raises(NotFound):
        await desk.end("f" * 64, S.FAILED)


async def test_an_order_that_went_on_meanwhile_is_left_alone(desk: Desk) -> None:
    key = await desk.orders.make("DEAD")
    decided = Decision(
        order_key=key, to_state=S.FAILED, evidence="not there", operator="ann", filled=None
    )
    waiting = asyncio.create_task(desk.resolutions.resolve(ANN, decided))

    async def recorded() -> bool:
        return bool(
            await desk.orders.sql("select 1 from order_resolution where order_key = %s", key)
        )

    await eventually(recorded)
    with pytest.raises(Conflict):
        await desk.resolutions.resolve(
            ANN,
            Decision(order_key=key, to_state=S.FAILED, evidence="x", operator="bob", filled=None),
        )
    await desk.orders.take(key, reported(key, closed=False))
    work = asyncio.create_task(desk.confirm_works())
    with pytest.raises(WrongState, match="was DEAD when it was decided"):
        await waiting
    work.cancel()
    assert (await desk.orders.row(key))["state"] == "SUBMITTED"


async def test_orders_are_listed_by_state_and_wallet_page_by_page(desk: Desk) -> None:
    made = sorted([await desk.orders.make("DEAD") for _ in range(3)])
    await desk.orders.make("LOST")
    wallet = desk.orders.wallet
    first = await desk.resolutions.orders([S.DEAD, S.RESURRECTED], wallet, "", 2)
    rest = await desk.resolutions.orders([S.DEAD], wallet, first[-1]["order_key"], 2)
    assert [row["order_key"] for row in [*first, *rest]] == made
