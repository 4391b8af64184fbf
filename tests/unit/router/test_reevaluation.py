"""An entry that was refused because its subscription had changed is decided again, exactly once.

Whenever that is told: before the leader trade is known once more to a router that has died in the
midst of its crowd, long after it was forgotten, or never, as it was told to the router before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.router.claimer import Claimer
from services.router.worker import Router
from tests.unit.router.test_budget import buy, recovered
from tests.unit.router.test_parts import IN_TWOS, Death, database
from tradingtools import clock
from tradingtools.domain.reasons import Reason
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

__all__ = ["database"]

FIRST = f"sub_{0:032x}"
HALF = 5_000_000


async def started(database: MemoryDatabase) -> Router:
    return await recovered(database, settings=IN_TWOS)


async def in_the_midst(database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The router dies when it has claimed the first two of its fan-out."""
    router = await started(database)
    claim, parts = Claimer.claim, 0

    async def die(self: Claimer, *arguments: Any, **more: Any) -> None:
        nonlocal parts
        parts += 1
        if parts > 1:
            raise Death
        await claim(self, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Claimer, "claim", die)
        with pytest.raises(Death):
            await router.on_facts([buy(1)])


def orders(database: MemoryDatabase) -> list[dict[str, Any]]:
    """Of the first of the fan-out, in their order."""
    rows = database.table("orders").values()
    return sorted(
        (row for row in rows if row["subscription_id"] == FIRST), key=lambda row: row["ordinal"]
    )


def decision(database: MemoryDatabase) -> dict[str, Any]:
    rows = database.table("decision").values()
    (row,) = (row for row in rows if row["subscription_id"] == FIRST)
    return row


def refused(database: MemoryDatabase) -> confirm_pb.FillEvent:
    """His subscription spends half as much, so his entry is refused; confirm books and tells it."""
    (order,) = orders(database)

    def write(tx: Transaction) -> None:
        changed = {"sizing_micros": HALF, "version": 2, "changed_seq": 99}
        tx.update("subscription", tx.get("subscription", FIRST) or {}, **changed)
        reason = {"reason": "SUBSCRIPTION_CHANGED", "failed_kind": "UNSENT", "state": "FAILED"}
        tx.update("orders", tx.get("orders", order["order_key"]) or {}, **reason)
        held = tx.get("reservation", order["order_key"]) or {}
        tx.update("reservation", held, released_at=tx.now)

    database.write(write)
    return confirm_pb.FillEvent(
        kind=confirm_pb.FILL_KIND_CLOSED, subscription_id=FIRST, asset_id="7",
        follower_proxy=order["follower_proxy"], order_key=order["order_key"],
        order_size_micros=order["size_micros"], order_state=common.ORDER_STATE_FAILED,
        reason=Reason.SUBSCRIPTION_CHANGED,
    )  # fmt: skip


async def is_decided_once(database: MemoryDatabase, reported: confirm_pb.FillEvent) -> None:
    """Also when all of it is told again, to this router and to the next."""
    for _ in range(2):
        router = await started(database)  # rows of what was claimed
        first, again = orders(database)
        assert (again["subscription_version"], again["size_micros"]) == (
            2, first["size_micros"] // 2,
        )  # fmt: skip
        assert decision(database)["ordered_size_micros"] == again["size_micros"]
        await router.on_facts([buy(1)])
        await router.bookings.on_fill(reported)
        await router.reevaluator.poll()


@pytest.mark.parametrize("dies", [False, True])
async def test_it_is_told_before_its_leader_trade_is_known_again(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    await in_the_midst(database, monkeypatch)
    router = await started(database)
    reported = refused(database)
    await router.bookings.on_fill(reported)
    await router.reevaluator.poll()
    if dies:
        # What it was told of is acknowledged, the leader trade is not.
        router = await started(database)
    await router.on_facts([buy(1)])
    await router.reevaluator.poll()
    await is_decided_once(database, reported)


async def test_a_router_dies_before_it_has_decided_it_again(database: MemoryDatabase) -> None:
    router = await started(database)
    await router.on_facts([buy(1)])
    router = await started(database)
    reported = refused(database)
    router = await started(database)
    await router.reevaluator.poll()
    await is_decided_once(database, reported)


async def test_reservation_is_free_before_it_is_decided_again(
    database: MemoryDatabase,
) -> None:
    """Limits would count it twice."""
    router = await started(database)
    await router.on_facts([buy(1)])
    router = await started(database)
    reported = refused(database)
    # As if it was refused while this one read what is open, and then what was refused.
    await router.reevaluator.recover()
    claims = len(database.table("journal"))
    await router.reevaluator.poll()
    assert len(database.table("journal")) == claims
    await router.bookings.on_fill(reported)
    await is_decided_once(database, reported)


async def test_a_leader_trade_of_long_ago_is_judged_for_its_reason(
    database: MemoryDatabase,
) -> None:
    router = await started(database)
    await router.on_facts([buy(1)])
    router = await started(database)
    reported = refused(database)
    late_ms = clock.now_ms() + 2 * 3600 * 1000
    router.forget_old(late_ms)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "now_ms", lambda: late_ms)
        await router.bookings.on_fill(reported)
    await started(database)
    assert (len(orders(database)), decision(database)["reason"]) == (1, "TOO_OLD")


async def test_one_that_cannot_be_decided_again_holds_up_no_other(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_the_midst(database, monkeypatch)
    router = await started(database)
    reported = refused(database)
    await router.bookings.on_fill(reported)
    other = replace(next(iter(router.reevaluator._waiting.values())), order_key="f" * 64)
    router.reevaluator._waiting = {"f" * 64: other, **router.reevaluator._waiting}
    decide = router.reevaluator._decide

    async def refuse(trade: Any, order: Any) -> None:
        if order is other:
            raise ValueError("of this one alone")
        await decide(trade, order)

    router.reevaluator._decide = refuse
    await router.on_facts([buy(1)])
    await router.reevaluator.poll()
    assert router.reevaluator._waiting == {}
    await is_decided_once(database, reported)
