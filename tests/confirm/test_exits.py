"""Test what a trigger shows of an exit that a person has to end: confirm's ends as guard sees
them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from services.guard.settings import Settings
from services.guard.worker import Guard
from tests.confirm.conftest import Orders, reported
from tests.support import leases
from tradingtools.domain.order_states import OrderState as S
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.books import Books
from tradingtools.settings import load
from tradingtools.v1 import common_pb2 as pb
from tradingtools.venues.insiders.order_body import order_body


async def _none(after: int, limit: int) -> list[tuple[int, pb.OrderBatch]]:
    return []


async def test_an_exit_that_appears_after_its_end_needs_a_person(orders: Orders) -> None:
    key = await orders.make("LOST")
    subscription, trigger = "sub_" + key[:32], "trg_" + key[:32]
    await orders.sql(
        "insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy,"
        " leader, state, version, sizing_mode, sizing_micros, changed_seq)"
        " values (%s, 'u', 'w', %s, %s, 'ACTIVE', 1, 'FIXED', 1, 1)",
        subscription, orders.wallet, orders.wallet,
    )  # fmt: skip
    await orders.sql(
        "insert into trigger (id, follower_proxy, condition_id, asset_id, origin, trigger_type,"
        " price_micros, status, order_key)"
        " values (%s, %s, 'c', '1', %s, 'STOP_LOSS', 400000, 'CLOSING', %s)",
        trigger, orders.wallet, subscription, key,
    )  # fmt: skip
    assert (await orders.take(key, reported(key, closed=False))).state is S.RESURRECTED

    settings = load(Settings, "guard", {
        f"TT_GUARD_{name}_TARGET": "127.0.0.1:1" for name in ("BOOKFEED", "CONFIRM")
    })  # fmt: skip
    lease = await leases.held(orders.pool, "guard")
    guard = Guard(
        orders.pool,
        lease,
        cast(Books, SimpleNamespace(pending_books=tuple)),
        Tail(0, _none),
        settings,
        writing=orders.pool,
        peaks=orders.pool,
        body_of=order_body,
    )
    await guard.recheck()
    await guard.recheck()
    (row,) = await orders.sql("select status, version from trigger where id = %s", trigger)
    assert row == {"status": "NEEDS_CONFIRM", "version": 2}, "once, and it stays"
