"""A leader's sell under a halt: no order, nothing forgotten, and judged at once when it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from services.router.core.exit_plan import LONGEST_PAUSE_MS, plan_exits
from services.router.core.records import LotView
from tests.unit.router import test_leader_left as samples
from tests.unit.router.test_budget import SUB, WALLET, change, recovered
from tests.unit.router.test_exits_caught_up import SELL, ages, killed, selling, slices
from tests.unit.samples import CONDITION, LEADER, subscription
from tradingtools.adapters import clock
from tradingtools.domain.copy_settings import CopySettings
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.reasons import Reason
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
    copy = router._memory.copies[SELL][SUB]
    # Five more were tried in a thin book before it.
    earlier = tuple(f"earlier {number}" for number in range(5))
    router._memory.copies[SELL][SUB] = structs.replace(
        copy,
        order_keys=(*earlier, *copy.order_keys),
        rest_until_ms=clock.now_ms() + LONGEST_PAUSE_MS,
    )
    told = killed(database)
    told.reason = Reason.HALTED
    await router.bookings.on_fill(told)
    copy = router._memory.copies[SELL][SUB]
    assert 0 < copy.rest_until_ms - clock.now_ms() <= 1_000
    assert router._memory.open_exits[SELL] - clock.monotonic() <= 1


async def test_an_exit_waits_without_an_order_whatever_the_router_goes_through() -> None:
    router, database = await selling()
    await router.bookings.on_fill(killed(database))
    database.write(halted)
    await router.refresh_index()
    memory = router._memory
    memory.copies[SELL][SUB] = structs.replace(memory.copies[SELL][SUB], rest_until_ms=0)
    await router._route(memory.trades[SELL], "again-1")
    assert (len(slices(database)), memory.copies[SELL][SUB].reason) == (1, Reason.HALTED)
    ages(database)
    router = await recovered(database)
    memory = router._memory
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


async def test_a_halt_that_ends_while_its_exit_is_judged_holds_it_no_longer() -> None:
    router, _ = await selling()
    memory = router._memory
    memory.copies[SELL][SUB] = structs.replace(
        memory.copies[SELL][SUB], reason=Reason.HALTED, rest_until_ms=0
    )
    # Its end was told before the exit was known to wait for it.
    assert memory.judge_exit_in_ms(SELL, clock.now_ms()) == 0
