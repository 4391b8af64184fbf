"""Orders that ended without a word to confirm: each is closed, and none is looked for twice."""

from __future__ import annotations

from typing import Any, cast

import pytest_asyncio

from services.confirm.booking_batcher import BookingBatcher
from services.confirm.sealer import Sealer
from services.confirm.settings import Settings
from services.confirm.worker import Confirm
from tests.confirm.conftest import Orders
from tradingtools.domain.order_states import OrderState as S
from tradingtools.rpc.streams import Tail
from tradingtools.settings import load
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.v1 import confirm_service_pb2 as pb


async def _none(after: int, limit: int) -> list[tuple[int, pb.FillEvent]]:
    return []


@pytest_asyncio.fixture
async def confirm(orders: Orders) -> Confirm:
    targets = {"TT_CONFIRM_EXECUTOR_TARGET": "h:1", "TT_CONFIRM_INSIDERS_URL": "http://h"}
    booker = BookingBatcher(orders.pool, orders.lease, Tail(0, _none))
    nobody = cast(Any, None)
    return Confirm(orders.pool, booker, nobody, load(Settings, "confirm", targets))


async def _closings(orders: Orders, key: str) -> int:
    query = "select 1 from booking where order_key = %s and kind = 'CLOSED'"
    return len(await orders.sql(query, key))


async def _seal(orders: Orders) -> None:
    sealer = Sealer(orders.pool, orders.lease, 1.0)
    await sealer.poll()
    await sealer.poll()


async def test_what_ended_unseen_is_closed_before_and_after_a_seal(
    orders: Orders, confirm: Confirm
) -> None:
    for path in ("UNSENT", "LOST", "KILLED"):
        key = await orders.make(path)
        await confirm.close_unseen()
        assert await _closings(orders, key) == 1
        await _seal(orders)
        await confirm.close_unseen()
        await confirm.close_unseen()
        assert await _closings(orders, key) == 1


async def test_end_committed_out_of_order_is_closed(
    orders: Orders, confirm: Confirm, shared_url: str
) -> None:
    late = await orders.make("CLAIMED")
    async with (
        open_pool(shared_url, name="slow", size=1) as slow,
        slow.connection() as connection,
        connection.transaction(),
    ):
        # It has its number, and is not committed yet, when a later one is.
        await journal.apply_transitions(
            connection,
            [{"order_key": late, "from_state": S.CLAIMED, "to_state": S.FAILED,
              "expected_epoch": 0, "failed_kind": "UNSENT"}],
        )  # fmt: skip
        other = await orders.make("UNSENT")
        await _seal(orders)
        for _ in range(3):
            await confirm.close_unseen()
        assert await _closings(orders, other) == 1
        assert await _closings(orders, late) == 0
    await confirm.close_unseen()
    assert await _closings(orders, late) == 1
