"""Which sets are merged, what becomes of a change, and what a merge is in the books."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bots.core import orders
from services.bots.core.holding import Holding, booked
from services.bots.core.orders import BotOrder
from services.bots.core.outcome_sets import (
    DEADLINE_MS,
    GRACE_MS,
    Sets,
    Step,
    mergeable,
    merged,
    next_step,
)
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.outcome_sets import SetAction, SetChange, SetsFound
from tradingtools.venues.polymarket.trading_gateway import CAPABILITIES
from tradingtools.venues.trading import NewOrder

MICROS = 10**6


def outcome(name: str, **more: Any) -> Instrument:
    known: dict[str, Any] = {
        "id": f"polymarket:{name}", "kind": InstrumentKind.BINARY, "base": name, "quote": "USDC",
        "settle": "USDC", "price_digits": 6, "size_digits": 6, "money_digits": 6,
        "tick_size": 10_000, "lot_size": 10_000, "minimum_size": 5 * MICROS, "group": "0xc1",
    }  # fmt: skip
    return Instrument(**(known | more))


YES, NO, OTHER = outcome("1"), outcome("2"), outcome("3", group="0xc2")
ALL = {one.id: one for one in (YES, NO, OTHER)}


def holds(yes: int, no: int) -> dict[str, Holding]:
    return {
        YES.id: Holding(size=yes, cost=yes * 45 // 100),
        NO.id: Holding(size=no, cost=no * 53 // 100),
        OTHER.id: Holding(size=100 * MICROS, cost=MICROS),
    }


def sells(size: int) -> BotOrder:
    new = NewOrder(
        order_id="bot00000000a1", instrument=YES, side="SELL", price=600_000, size=size,
        not_after_ms=1, created_ms=1,
    )  # fmt: skip
    return orders.sending(orders.intend(new, bot_id="bot", epoch=1, able=CAPABILITIES))


def test_whole_sets_that_nothing_sells_are_merged() -> None:
    mine = holds(30_009_999, 12_345_678)
    account = {key: one.size for key, one in mine.items()}
    assert mergeable(mine, ALL, [], account) == Sets(first=YES, second=NO, size=12_340_000)
    assert mergeable(mine, ALL, [sells(20 * MICROS)], account) == Sets(
        first=YES, second=NO, size=10_000_000
    )
    # Shares that are not settled are not there yet.
    assert mergeable(mine, ALL, [], account | {YES.id: 6 * MICROS}) == Sets(
        first=YES, second=NO, size=6 * MICROS
    )


def test_nothing_is_merged_that_is_none_or_too_little() -> None:
    mine = holds(30 * MICROS, 4 * MICROS)
    account = {key: one.size for key, one in mine.items()}
    assert mergeable(mine, ALL, [], account) is None
    mine = holds(30 * MICROS, 30 * MICROS)
    assert mergeable(mine, ALL, [], {}) is None
    account = {key: one.size for key, one in mine.items()}
    assert mergeable(mine, ALL, [sells(26 * MICROS)], account) is None
    resolved = {**ALL, YES.id: replace(YES, payout=MICROS), NO.id: replace(NO, payout=0)}
    assert mergeable(mine, resolved, [], account) is None
    short = holds(30 * MICROS, -30 * MICROS)
    assert mergeable(short, ALL, [], account) is None


CHANGE = SetChange(
    change_id="c1", action=SetAction.MERGE, instrument=YES, size=MICROS, nonce=7,
    deadline_ms=DEADLINE_MS,
)  # fmt: skip
OVER = DEADLINE_MS + GRACE_MS


@pytest.mark.parametrize(
    ("found", "sent", "now_ms", "step"),
    [
        (SetsFound(nonce=7), 0, 1, Step.SEND),
        (SetsFound(nonce=7), 3, 1, Step.SEND),
        (SetsFound(nonce=7, pending=1), 1, OVER, Step.WAIT),
        (SetsFound(nonce=8, done=True), 1, OVER, Step.BOOK),
        (SetsFound(nonce=8, done=True, failed=1), 2, 1, Step.BOOK),
        (SetsFound(nonce=7, failed=1), 1, 1, Step.GIVE_UP),
        # The other sending may still arrive.
        (SetsFound(nonce=7, failed=1), 2, 1, Step.SEND),
        # Its nonce is gone: it is made or never will be, and the list may lag behind.
        (SetsFound(nonce=8), 1, 1, Step.WAIT),
        (SetsFound(nonce=8), 1, OVER, Step.GIVE_UP),
        (SetsFound(nonce=7), 1, DEADLINE_MS, Step.WAIT),
        (SetsFound(nonce=7), 1, OVER, Step.GIVE_UP),
    ],
)
def test_steps_of_a_change(found: SetsFound, sent: int, now_ms: int, step: Step) -> None:
    assert next_step(CHANGE, found, sent, now_ms) is step


@given(
    yes=st.integers(1, 10**5), no=st.integers(1, 10**5), part=st.integers(1, 10**5),
    cost=st.integers(0, 10**6), other=st.integers(0, 10**6),
)  # fmt: skip
def test_a_merge_brings_one_for_each_set_to_the_micro(
    yes: int, no: int, part: int, cost: int, other: int
) -> None:
    lot = YES.lot_size
    size = min(yes, no, part) * lot
    first = Holding(size=yes * lot, cost=yes * lot * cost // MICROS)
    second = Holding(size=no * lot, cost=no * lot * other // MICROS)
    one, two = merged("bot", "c1", Sets(first=YES, second=NO, size=size), first, 5)
    assert one.price + two.price == MICROS
    assert (one.price * size) % MICROS == 0
    after = booked(first, YES, one), booked(second, NO, two)
    assert [was.size - now.size for was, now in zip((first, second), after, strict=True)] == [
        size, size,
    ]  # fmt: skip
    spent = first.cost + second.cost - after[0].cost - after[1].cost
    assert after[0].realised + after[1].realised == size - spent
    assert {one.trade_id, two.trade_id} == {"1:c1", "2:c1"}
    assert one.order_id == two.order_id == "merge:bot"
