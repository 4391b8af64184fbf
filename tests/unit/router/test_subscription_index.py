"""A leader trade costs what its followers cost, however many others there are.

What is counted is the interpreter's instructions, not time: the same work gives the same number.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

from msgspec import structs

from services.router.core.entry_plan import plan_entries
from services.router.core.ledger import OpenEntry
from services.router.core.records import Context, Plan
from services.router.core.router_state import RouterState
from tests.unit.samples import CONDITION, TX, book, subscription
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, Source, TradeKey, merge
from tradingtools.domain.subscription import Subscription
from tradingtools.venues.insiders.order_body import order_body

NOW_MS = 1_000


def wallet(number: int) -> str:
    return f"0x{number:040x}"


def follower(number: int, leader: str) -> Subscription:
    made = structs.replace(subscription().follower, proxy=wallet(number))
    return replace(subscription(), id=f"sub-{number}", leader=leader, follower=made)


def world(leaders: int, each: int, *, of_the_first: int) -> RouterState:
    """Followers of many leaders, each with a lot and an open entry elsewhere."""
    memory = RouterState()
    counts = [of_the_first, *[each] * (leaders - 1)]
    number = 0
    for leader, count in enumerate(counts):
        for _ in range(count):
            number += 1
            made = follower(number, wallet(10**6 + leader))
            memory.index.put(made)
            memory.ledger.hold(made.id, made.follower.proxy, "elsewhere", "9", 5)
            memory.ledger.reserve(
                f"order-{number}",
                OpenEntry(
                    subscription_id=made.id, proxy=made.follower.proxy, condition_id="elsewhere",
                    asset_id="9", copy_key=f"copy-{number}", money_micros=1, day=0,
                ),
            )  # fmt: skip
    return memory


def buy(leader: str) -> LeaderTrade:
    key = TradeKey(leader_tx=TX, leader=leader, asset_id="7", side=Side.BUY)
    made = merge(
        None,
        LeaderRow(
            key=key, condition_id=CONDITION, price_text="0.5", price_micros=500_000,
            size_micros=10**8, count=1, source=Source.FEED, traded_ms=NOW_MS, received_ns=0,
            held_before_micros=None,
        ),
    )  # fmt: skip
    assert made is not None
    return made


def decide(memory: RouterState) -> Plan:
    """Return what the router does between a fact and its record."""
    trade = buy(wallet(10**6))
    memory.know(trade)
    context = Context(
        body_of=order_body, book=book(), now_ms=NOW_MS, entry_ttl_ms=1, exit_ttl_ms=1,
        exposure=memory.exposures(trade, NOW_MS), entry_owner=memory.entry_owner.get,
    )  # fmt: skip
    plan = plan_entries(trade, memory.index.followers_of(trade.key.leader), {}, context)
    for copy in plan.copies.values():
        memory.note_copy(trade, copy, NOW_MS)
    return plan


def instructions(work: Callable[[], Any]) -> int:
    """Return how many instructions a call executes.

    The collector of garbage waits: it may begin anywhere, and its callbacks and finalizers would be
    counted (hypothesis has one).
    """
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before, collecting = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        if collecting:
            gc.enable()
    return count


def test_a_leader_trade_costs_its_followers_and_no_others() -> None:
    small, large = world(2, 5, of_the_first=5), world(1_000, 5, of_the_first=5)
    assert len(decide(world(2, 5, of_the_first=5)).orders) == 5
    assert instructions(lambda: decide(large)) == instructions(lambda: decide(small))


def test_five_hundred_followers_cost_ten_times_what_fifty_cost() -> None:
    fifty, many = world(2, 5, of_the_first=50), world(2, 5, of_the_first=500)
    assert instructions(lambda: decide(many)) <= 10 * instructions(lambda: decide(fifty))


def test_a_change_costs_the_same_in_a_large_index() -> None:
    small, large = world(2, 5, of_the_first=5), world(1_000, 5, of_the_first=500)
    changed = replace(follower(3, wallet(10**6)), version=2)
    costs = [
        instructions(lambda: memory.index.put(changed))  # noqa: B023 - called at once
        for memory in (small, large)
    ]
    assert costs[0] == costs[1]
    assert large.index.subscription(changed.id) is changed
    assert len(large.index.followers_of(changed.leader)) == 500
