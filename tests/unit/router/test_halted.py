"""A leader's sell under a halt: no order, nothing forgotten, and judged at once when it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from services.router.core.exit_plan import LONGEST_PAUSE_MS, plan_exits
from services.router.core.records import LotView
from services.router.worker import Router
from tests.unit.router import test_leader_left as samples
from tests.unit.router.test_budget import SUB, WALLET, buy, change, recovered, subscribe
from tests.unit.router.test_exits_caught_up import (
    SELL,
    Again,
    ages,
    both,
    killed,
    position,
    selling,
    slices,
)
from tests.unit.samples import CONDITION, LEADER, subscription
from tradingtools import clock
from tradingtools.domain.copy_settings import CopySettings
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.reasons import Reason
from tradingtools.storage.postgres import journal
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction

_HALT = {"scope": "WALLET", "subject": WALLET, "mode": "HALTED", "reason": "r"}


def halted(tx: Transaction) -> None:
    """As control does it."""
    tx.insert("halt", _HALT)
    change(tx)


def reducing(tx: Transaction) -> None:
    (row,) = tx.rows("halt")
    tx.update("halt", row, mode="REDUCING")
    change(tx)


@pytest.mark.parametrize(
    ("scope", "subject", "waits"),
    [
        ("GLOBAL", "", True), ("WALLET", subscription().follower.proxy, True),
        ("LEADER", LEADER, True), ("MARKET", CONDITION, True),
        ("WALLET", "0x" + "9" * 40, False), ("LEADER", "0x" + "9" * 40, False),
        ("MARKET", "0x" + "9" * 64, False),
    ],
)  # fmt: skip
def test_what_a_halt_covers_is_not_claimed(scope: str, subject: str, waits: bool) -> None:
    sell = samples.trade(1, Side.SELL, 100)
    context = samples.context(halts=frozenset({(scope, subject)}))
    lots = {samples.SUB: LotView(shares_micros=10**8, free_micros=10**8)}
    plan = plan_exits(sell, [subscription()], {}, lots, context)
    reason = plan.copies[samples.SUB].reason
    assert (len(plan.orders), reason) == ((0, Reason.HALTED) if waits else (1, Reason.NONE))


def test_a_halt_holds_back_nothing_on_paper() -> None:
    sell = samples.trade(1, Side.SELL, 100)
    shadow = replace(subscription(), settings=CopySettings(shadow=True))
    context = samples.context(halts=frozenset({("GLOBAL", "")}))
    lots = {samples.SUB: LotView(shares_micros=10**8, free_micros=10**8)}
    plan = plan_exits(sell, [shadow], {}, lots, context)
    assert plan.copies[samples.SUB].reason is Reason.SHADOW


async def test_a_slice_that_a_halt_ends_makes_no_long_pause() -> None:
    router, database = await selling()
    copy = router._state.copies[SELL][SUB]
    # Five more were tried in a thin book before it.
    earlier = tuple(f"earlier {number}" for number in range(5))
    copy = structs.replace(
        copy,
        order_keys=(*earlier, *copy.order_keys),
        rest_until_ms=clock.now_ms() + LONGEST_PAUSE_MS,
    )
    router._state.put_copy(SELL, SUB, copy)
    reported = killed(database)
    reported.reason = Reason.HALTED
    await router.bookings.on_fill(reported)
    copy = router._state.copies[SELL][SUB]
    assert 0 < copy.rest_until_ms - clock.now_ms() <= 1_000
    assert router._state.open_exits[SELL] - clock.monotonic() <= 1


@both
async def test_nor_does_it_when_the_router_learns_of_it_anew(again: Again) -> None:
    router, database = await selling()

    def refused(tx: Transaction) -> None:
        order = tx.get("orders", slices(database)[-1]) or {}
        tx.update("orders", order, failed_kind="UNSENT", reason="HALTED")
        # As it was claimed behind five others.
        (decision,) = tx.rows("decision")
        frozen = {**decision["frozen"], "rest_until_ms": clock.now_ms() + LONGEST_PAUSE_MS}
        tx.update("decision", decision, frozen=frozen)

    killed(database)
    database.write(refused)
    router = await again(router, database)
    copy = router._state.copies[SELL][SUB]
    assert (copy.ordered_size_micros, copy.rest_until_ms <= clock.now_ms()) == (0, True)


async def test_waiting_exit_sells_nothing_bought_after_it() -> None:
    """Its first slice is made behind the purchase; it was judged before."""
    database = MemoryDatabase()
    database.write(subscribe)
    database.write(position)
    database.write(halted)
    router = await recovered(database)
    fact = buy(2)
    key = replace(fact.key, side=Side.SELL)
    held = 100_000_000
    sell = replace(fact, key=key, size_micros=held, held_before_micros=held)
    await router.on_facts([sell])
    assert slices(database) == []
    bought = await _bought_again(router, database)

    def only_some_are_free(tx: Transaction) -> None:
        (lot,) = tx.rows("lot")
        tx.update("lot", lot, shares_micros=40_000_000 + bought)

    database.write(only_some_are_free)
    database.write(reducing)
    await router.refresh_index()
    for number in range(3):
        copy = router._state.copies[sell.key][SUB]
        router._state.put_copy(sell.key, SUB, structs.replace(copy, rest_until_ms=0))
        await router._route(router._state.trades[sell.key], f"again-{number}")
    rows = database.table("orders").values()
    sold = [row["size_micros"] for row in rows if row["purpose"] == "COPY_EXIT"]
    assert sum(sold) == 40_000_000


async def _bought_again(router: Router, database: MemoryDatabase) -> int:
    """A later entry of the same outcome is claimed and filled; its shares, micros."""
    await router.on_facts([buy(3)])
    await journal.build_open_rows(router._pool, 0, older_than_seconds=None)
    (entry,) = (row for row in database.table("orders").values() if row["purpose"] == "ENTRY")

    def filled(tx: Transaction) -> None:
        order = tx.get("orders", entry["order_key"]) or {}
        reserved = tx.get("reservation", entry["order_key"]) or {}
        tx.update("orders", order, state="CONFIRMED", filled_size_micros=entry["size_micros"])
        tx.update("reservation", reserved, released_at=tx.now)
        tx.insert("lot_entry", {
            "follower_proxy": WALLET, "asset_id": "7", "origin": SUB, "cost_micros": 1,
            "order_key": entry["order_key"], "trade_id": "t", "size_micros": entry["size_micros"],
        })  # fmt: skip

    database.write(filled)
    return int(entry["size_micros"])


async def test_an_end_of_a_halt_hurries_only_whom_it_let_wait() -> None:
    """Test that who rests after a slice in a thin book goes on resting."""
    router, database = await selling()
    await router.bookings.on_fill(killed(database))
    database.write(halted)
    await router.refresh_index()
    memory = router._state
    memory.open_exits[SELL] = due = clock.monotonic() + LONGEST_PAUSE_MS / 1000
    database.write(reducing)
    await router.refresh_index()
    assert memory.open_exits[SELL] == due


async def test_exit_waits_without_an_order_over_restarts() -> None:
    router, database = await selling()
    await router.bookings.on_fill(killed(database))
    database.write(halted)
    await router.refresh_index()
    memory = router._state
    copy = memory.copies[SELL][SUB]
    memory.put_copy(SELL, SUB, structs.replace(copy, rest_until_ms=0))
    await router._route(memory.trades[SELL], "again-1")
    assert (len(slices(database)), memory.copies[SELL][SUB].reason) == (1, Reason.HALTED)
    ages(database)
    router = await recovered(database)
    memory = router._state
    await router._route(memory.trades[SELL], "again-2")
    assert (len(slices(database)), memory.copies[SELL][SUB].reason) == (1, Reason.HALTED)
    # Nothing is asked of the database meanwhile.
    memory.open_exits[SELL] = clock.monotonic() + LONGEST_PAUSE_MS / 1000
    assert memory.judge_exit_in_ms(SELL, clock.now_ms()) == LONGEST_PAUSE_MS
    await router.refresh_index()
    assert memory.open_exits[SELL] > clock.monotonic() + 1
    database.write(reducing)
    await router.refresh_index()
    assert memory.open_exits[SELL] <= clock.monotonic()
    await router._route(memory.trades[SELL], "again-3")
    assert (len(slices(database)), memory.copies[SELL][SUB].reason) == (2, Reason.NONE)


async def test_halt_that_ends_during_a_judgement_holds_no_longer() -> None:
    router, _ = await selling()
    memory = router._state
    copy = memory.copies[SELL][SUB]
    memory.put_copy(SELL, SUB, structs.replace(copy, reason=Reason.HALTED, rest_until_ms=0))
    # Its end was told before the exit was known to wait for it.
    assert memory.judge_exit_in_ms(SELL, clock.now_ms()) == 0
