"""Accepted orders of which nothing is told any more: a person hears of each, once."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from services.confirm import store
from services.confirm.booking_batcher import BookingBatcher
from services.confirm.core.unknown_order_policy import LookupResult
from services.confirm.settings import Settings
from services.confirm.worker import Confirm
from tests.confirm.conftest import Orders, reported
from tradingtools.domain.venue_order import VenueOrder
from tradingtools.rpc.streams import Tail

_QUARTER_MS = 900_000


class _FarSide:
    """An insiders-api that says one thing."""

    def __init__(self, lookup: LookupResult) -> None:
        self.says: tuple[LookupResult, VenueOrder | None] = (lookup, None)

    async def look_up(self, _order_key: str) -> tuple[LookupResult, VenueOrder | None]:
        return self.says


async def _none(_after: int, _limit: int) -> list[Any]:
    return []


async def _accepted(orders: Orders, *, minutes_ago: int) -> str:
    key = await orders.make("SUBMITTED")
    async with orders.pool.connection() as connection, connection.transaction():
        # Nobody else may write the past.
        await connection.execute("set local session_replication_role = replica")
        await connection.execute(
            "update order_event set occurred_at = now() - make_interval(mins => %s)"
            " where order_key = %s",
            (minutes_ago, key),
        )
    return key


async def _counted(orders: Orders) -> int:
    rows = await store.fetch(orders.pool, "unresolved", submitted_ms=_QUARTER_MS)
    return sum(row["orders"] for row in rows if row["state"] == "SUBMITTED")


@pytest.mark.parametrize(
    "lookup", [LookupResult.NOT_FOUND, LookupResult.VOIDED, LookupResult.NO_ANSWER]
)
@pytest.mark.parametrize(("minutes_ago", "times"), [(14, 0), (16, 1)])
async def test_a_person_is_told_once(
    orders: Orders, lookup: LookupResult, minutes_ago: int, times: int
) -> None:
    before = await _counted(orders)
    key = await _accepted(orders, minutes_ago=minutes_ago)
    settings = Settings(executor_target="h:1", insiders_url="http://h")
    far_side = _FarSide(lookup)
    booker = BookingBatcher(orders.pool, orders.lease, Tail(0, _none))
    confirm = Confirm(orders.pool, booker, cast(Any, far_side), settings)
    rows = await store.fetch(orders.pool, "due", limit=1000, late_ms=0)
    (due,) = [dict(row) for row in rows if row["order_key"] == key]
    with capture_logs() as logs:
        for _ in range(3):
            await confirm._poll(due, asyncio.Semaphore())
    assert [log["order"] for log in logs if log.get("alert")] == [key] * times
    assert await _counted(orders) == before + times
    row = await orders.row(key)
    assert (row["state"], row["reserved"]) == ("SUBMITTED", True), "it exists"

    far_side.says = (LookupResult.FOUND, reported(key))
    await confirm._poll(due, asyncio.Semaphore())
    assert (await orders.row(key))["state"] == "FAILED"
    assert await _counted(orders) == before
