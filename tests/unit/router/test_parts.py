"""A fan-out's copies are claimed in parts: others go in between, and no copy is lost by a death."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from services.router.core.records import StaleEntry
from tests.unit.router.test_budget import SETTINGS, buy, no_batches, recovered
from tests.unit.samples import LEADER
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade
from tradingtools.rpc.streams import Tail
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction

CROWD = 5
OTHER = "0x" + "d" * 40
IN_TWOS = replace(SETTINGS, claimed_together=2)


class Death(BaseException):
    """The process ends here."""


def _subscribe(tx: Transaction) -> None:
    leaders = [LEADER] * CROWD + [OTHER]
    for number, leader in enumerate(leaders):
        tx.insert(
            "subscription",
            {
                "id": f"sub_{number:032x}", "follower_user_id": "u", "follower_wallet_id": "w",
                "follower_proxy": f"0x{number:040x}", "leader": leader, "state": "ACTIVE",
                "version": 1, "sizing_mode": "FIXED", "sizing_micros": 10_000_000,
                "changed_seq": number + 1,
            },
        )  # fmt: skip


@pytest.fixture
def database() -> MemoryDatabase:
    """A fan-out behind one leader, a single follower behind another."""
    made = MemoryDatabase()
    made.write(_subscribe)
    return made


def _others_buy(number: int = 9) -> LeaderRow:
    fact = buy(number)
    return replace(fact, key=replace(fact.key, leader=OTHER))


def _claims(database: MemoryDatabase) -> list[dict[str, Any]]:
    records = sorted(database.table("journal").values(), key=lambda row: row["seq"])
    return [json.loads(row["payload"]) for row in records if row["kind"] == "CLAIMED"]


def _followers(claim: dict[str, Any]) -> list[int]:
    return [int(order["subscription_id"][4:], 16) for order in claim["orders"]]


async def test_fan_out_is_claimed_in_parts_rows_with_the_last(
    database: MemoryDatabase,
) -> None:
    router = await recovered(database, settings=IN_TWOS)
    await router.on_facts([buy(1)])
    claims = _claims(database)
    assert [_followers(claim) for claim in claims] == [[0, 1], [2, 3], [4]]
    assert [len(claim["rows"]) for claim in claims] == [0, 0, 1]


async def test_each_order_of_a_fan_out_has_its_frames_time(
    database: MemoryDatabase,
) -> None:
    def more_for_more(tx: Transaction) -> None:
        for row in list(tx.rows("subscription")):
            tx.update("subscription", row, sizing_mode="RATIO", sizing_micros=10_000)

    database.write(more_for_more)
    tail: Tail[Any] = Tail(0, no_batches)
    router = await recovered(database, settings=IN_TWOS, tail=tail)
    fact = replace(buy(1), received_ns=5)
    await router.on_facts([fact])
    await router.on_facts([replace(fact, count=2, received_ns=8)])
    orders = [order for claim in _claims(database) for order in claim["orders"]]
    assert [order["received_ns"] for order in orders] == [5] * CROWD + [8] * CROWD
    assert [batch.received_ns for _, batch in tail._items] == [5] * 3 + [8] * 3


async def test_another_leaders_trade_goes_between_two_parts(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = await recovered(database, settings=IN_TWOS)
    claim = router._claimer.claim

    async def take_time(*arguments: Any, **more: Any) -> None:
        # As a real commit does; meanwhile the other trade gets in line.
        for _ in range(5):
            await asyncio.sleep(0)
        await claim(*arguments, **more)

    monkeypatch.setattr(router._claimer, "claim", take_time)
    async with asyncio.TaskGroup() as group:
        group.create_task(router.on_facts([buy(1)]))
        group.create_task(router.on_facts([_others_buy()]))
    order = [_followers(claim) for claim in _claims(database)]
    assert order.index([5]) < len(order) - 1
    assert sorted(number for numbers in order for number in numbers) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("claimed", [0, 1, 2])
async def test_a_death_between_two_parts_costs_nobody_his_copy(
    database: MemoryDatabase, claimed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = await recovered(database, settings=IN_TWOS)
    claim, left = router._claimer.claim, claimed

    async def die(*arguments: Any, **more: Any) -> None:
        nonlocal left
        if not left:
            raise Death
        left -= 1
        await claim(*arguments, **more)

    monkeypatch.setattr(router._claimer, "claim", die)
    fact = buy(1)
    with pytest.raises(Death):
        await router.on_facts([fact])
    # It was never acknowledged, so it is told again, to a router that has read what is durable.
    router = await recovered(database, settings=IN_TWOS)
    await router.on_facts([fact])
    assert sorted(n for c in _claims(database) for n in _followers(c)) == list(range(CROWD))
    assert sum(len(c["rows"]) for c in _claims(database)) == 1
    # And once more: nothing is left to be done.
    before = len(_claims(database))
    await (await recovered(database, settings=IN_TWOS)).on_facts([fact])
    assert len(_claims(database)) == before


async def test_first_part_can_be_judged_before_the_last(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    router, fact = await recovered(database, settings=IN_TWOS), buy(1)
    claim, seen = router._claimer.claim, []

    async def poll(*arguments: Any, **more: Any) -> None:
        memory = router._state
        seen.append((memory.trade(fact.key) is not None, fact.key in memory.trades))
        claimed = [order_key for order_key, key in memory.entry_trade.items() if key == fact.key]
        # A sell of the leader that comes now takes along what is claimed so far.
        assert len(memory.left(claimed).get(fact.key, {})) == 2 * (len(seen) - 1)
        await claim(*arguments, **more)

    monkeypatch.setattr(router._claimer, "claim", poll)
    await router.on_facts([fact])
    assert seen == [(True, False)] * 3
    assert fact.key in router._state.trades


async def test_entry_decided_again_costs_its_fan_out_no_copy(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = await recovered(database, settings=IN_TWOS)
    claim, claimed = router._claimer.claim, []

    async def fail_once(trade: LeaderTrade, book: Any, cause: str, **more: Any) -> None:
        claimed.append(cause)
        if len(claimed) == 2:
            order = _claims(database)[0]["orders"][0]
            again = StaleEntry(
                key=trade.key,
                subscription_id=order["subscription_id"],
                order_key=order["order_key"],
                size_micros=order["size_micros"],
                money_micros=order["reserved_money_micros"],
            )
            # An earlier claim, between two parts; this one then fails.
            router._claim_lock.release()
            await router._route(trade, "changed-1", again)
            await router._claim_lock.acquire()
            raise ValueError("once")
        await claim(trade, book, cause, **more)

    monkeypatch.setattr(router._claimer, "claim", fail_once)
    with pytest.raises(ExceptionGroup):
        await router.on_facts([buy(1)])
    await router.on_facts([buy(1)])
    assert "changed-1" in claimed
    assert {one for made in _claims(database) for one in _followers(made)} == set(range(CROWD))


async def test_nobody_is_judged_while_a_claim_is_unknown(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = await recovered(database, settings=IN_TWOS)
    claim, requested = router._claimer.claim, []

    async def break_once(trade: LeaderTrade, *arguments: Any, **more: Any) -> None:
        requested.append(trade.key.leader)
        if len(requested) == 1:
            raise psycopg.OperationalError("the connection broke before the answer")
        await claim(trade, *arguments, **more)

    monkeypatch.setattr(router._claimer, "claim", break_once)
    async with asyncio.TaskGroup() as group:
        group.create_task(router.on_facts([buy(1)]))
        group.create_task(router.on_facts([_others_buy()]))
    assert requested[:2] == [LEADER, LEADER]
    assert OTHER in requested
