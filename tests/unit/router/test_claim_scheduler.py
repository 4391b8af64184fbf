"""A fan-out's part ends early for who is soon done, once, and loses nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router import claim_scheduler
from services.router.claim_scheduler import (
    CHUNK,
    MAX_DROPPED,
    MIN_PART,
    ClaimScheduler,
    PartProgress,
)
from services.router.core.entry_plan import plan_entries
from services.router.core.records import Part, Plan
from services.router.core.router_state import RouterState
from tests.unit.router.test_budget import buy, recovered
from tests.unit.router.test_parts import (
    CROWD,
    IN_TWOS,
    _claims,
    _followers,
    _others_buy,
    database,
)
from tradingtools.domain.leader_trade import merge
from tradingtools.testing.memory_database import MemoryDatabase

__all__ = ["database"]
CLAIMED_TOGETHER = 100


async def _pieces(share: PartProgress) -> list[str]:
    return [subscription async for ids in share.chunks() for subscription in ids]


@given(st.integers(0, 450), st.lists(st.booleans(), max_size=60))
async def test_parts_are_all_followers_in_order(followers: int, hurries: list[bool]) -> None:
    everybody = tuple(str(n) for n in range(followers))
    schedule_soon = iter(hurries)
    left, droppable = everybody, True
    claimed: list[str] = []
    while left:
        part = Part.of(left, CLAIMED_TOGETHER)
        share = PartProgress(part, lambda: next(schedule_soon, False), droppable=droppable)
        planned = await _pieces(share)
        if share.part.ids:
            assert planned == list(share.part.ids)
            assert share.part.last == (len(planned) == len(left))
            assert share.part.last or MIN_PART <= len(planned) <= CLAIMED_TOGETHER
        else:
            assert droppable, "dropped once, and not again"
            assert not share.part.last
            assert 0 < len(planned) <= MAX_DROPPED
        droppable = bool(share.part.ids)
        claimed += share.part.ids
        left = left[len(share.part.ids) :]
    assert tuple(claimed) == everybody


async def test_a_part_that_may_be_committed_keeps_its_followers() -> None:
    should_yield = True
    ninety = Part.of([str(n) for n in range(90)], 100)
    share = PartProgress(ninety, lambda: should_yield, droppable=False)
    first = await _pieces(share)
    assert len(first) == MIN_PART
    should_yield = False
    assert await _pieces(share) == first
    whole = PartProgress(ninety, lambda: should_yield, droppable=True)
    assert len(await _pieces(whole)) == 90
    should_yield = True
    assert len(await _pieces(whole)) == 90, "its commit may have happened: it has its name"
    assert whole.part == ninety


async def test_between_two_pieces_others_run() -> None:
    thirty = Part.of([str(n) for n in range(3 * CHUNK)], 100)
    share, seen = PartProgress(thirty, lambda: False, droppable=True), []

    async def beside() -> None:
        for _ in range(2):
            seen.append(len(planned))
            await asyncio.sleep(0)

    planned: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(beside())
        async for ids in share.chunks():
            planned += ids
    assert seen == [CHUNK, 2 * CHUNK]


async def test_only_the_brief_are_waited_for() -> None:
    lock = asyncio.Lock()
    taking, order = ClaimScheduler(lock), []

    async def take(name: str, *, brief: bool) -> None:
        async with taking.turn(brief=brief):
            order.append((name, taking.brief_waiting()))

    async with asyncio.TaskGroup() as group, lock:
        group.create_task(take("crowd", brief=False))
        await asyncio.sleep(0)
        assert not taking.brief_waiting()
        single = group.create_task(take("single", brief=True))
        gone = group.create_task(take("gone", brief=True))
        await asyncio.sleep(0)
        assert taking.brief_waiting()
        gone.cancel()
        await asyncio.sleep(0)
        assert taking.brief_waiting()
        assert not single.done()
    assert order == [("crowd", True), ("single", False)]


async def test_a_plan_in_pieces_is_the_plan(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_scheduler, "CHUNK", 1)
    router = await recovered(database, settings=IN_TWOS)
    router._writer._claimed_together = CLAIMED_TOGETHER
    wallets = [replace_wallet(s, number) for number, s in enumerate(_everybody(router))]
    for each in wallets:
        router._state.index.put(each)
    claimer, plans = router._claimer, list[Plan]()
    insert = claimer._insert

    async def keep(connection: Any, job: Any, plan: Plan) -> Any:
        plans.append(plan)
        whole = plan_entries(job.trade, job.followers, {}, claimer.context(job.trade, job.book))
        assert set(plan.copies) == set(whole.copies)
        assert [o.order_key for o in plan.orders] == [o.order_key for o in whole.orders]
        reasons = [copy.reason for copy in plan.copies.values()]
        assert reasons == [copy.reason for copy in whole.copies.values()]
        return await insert(connection, job, plan)

    monkeypatch.setattr(claimer, "_insert", keep)
    await router.on_facts([buy(1)])
    (plan,) = plans
    # Two of them share a wallet: the key of the second is taken, though it is of another piece.
    assert len(plan.copies) == CROWD
    assert len(plan.orders) == CROWD - 1


def _everybody(router: Any) -> Any:
    return router._state.index.followers_of(buy(1).key.leader)


def replace_wallet(subscription: Any, number: int) -> Any:
    """The last of the fan-out has the first one's wallet."""
    if number != CROWD - 1:
        return subscription
    proxy = f"0x{0:040x}"
    return replace(subscription, follower=_with_proxy(subscription.follower, proxy))


def _with_proxy(follower: Any, proxy: str) -> Any:
    return type(follower)(user_id=follower.user_id, wallet_id=follower.wallet_id, proxy=proxy)


@pytest.mark.parametrize("dropped", [0, 1])
async def test_single_claim_goes_early_and_none_is_lost_without_acks(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch, dropped: int
) -> None:
    monkeypatch.setattr(claim_scheduler, "CHUNK", 1)
    monkeypatch.setattr(claim_scheduler, "MIN_PART", 2)
    monkeypatch.setattr(claim_scheduler, "MAX_DROPPED", dropped)
    router = await recovered(database, settings=IN_TWOS)
    router._writer._claimed_together = CLAIMED_TOGETHER
    insert, broken = router._claimer._insert, False

    async def lose_the_first_answer(connection: Any, job: Any, plan: Plan) -> Any:
        nonlocal broken
        claimed = await insert(connection, job, plan)
        if not broken:
            broken = True
            raise psycopg.OperationalError("the connection broke before the answer")
        return claimed

    monkeypatch.setattr(router._claimer, "_insert", lose_the_first_answer)
    async with asyncio.TaskGroup() as group:
        group.create_task(router.on_facts([buy(1)]))
        group.create_task(router.on_facts([_others_buy()]))
    order = [_followers(claim) for claim in _claims(database)]
    # Dropped at its beginning it goes after the single one, otherwise it ends early before him.
    assert order == ([[5], [0, 1, 2, 3, 4]] if dropped else [[0, 1], [5], [2, 3, 4]])


async def test_a_crowd_stands_back_once_and_not_for_ever(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_scheduler, "CHUNK", 1)
    monkeypatch.setattr(claim_scheduler, "MIN_PART", 2)
    monkeypatch.setattr(claim_scheduler, "MAX_DROPPED", 1)
    router = await recovered(database, settings=IN_TWOS)
    router._writer._claimed_together = CLAIMED_TOGETHER
    insert, second = router._claimer._insert, list[asyncio.Task[None]]()

    async def then_another(connection: Any, job: Any, plan: Plan) -> Any:
        if not second:
            second.append(asyncio.create_task(router.on_facts([_others_buy(8)])))
            await asyncio.sleep(0)
        return await insert(connection, job, plan)

    monkeypatch.setattr(router._claimer, "_insert", then_another)
    async with asyncio.TaskGroup() as group:
        group.create_task(router.on_facts([buy(1)]))
        group.create_task(router.on_facts([_others_buy(9)]))
    await second[0]
    order = [_followers(claim) for claim in _claims(database)]
    assert order == [[5], [0, 1], [5], [2, 3, 4]]


def test_trade_is_under_way_until_all_claims_are_done() -> None:
    memory = RouterState()
    trade = merge(None, buy(1))
    assert trade is not None
    crowd, replayed = memory.under_way(trade), memory.under_way(trade)
    crowd.__enter__()
    with replayed:
        pass
    assert memory.trade(trade.key) is trade
    crowd.__exit__(None, None, None)
    assert memory.trade(trade.key) is None
