"""Limits of a bot: what could still fill counts, what only reduces passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bots.core import orders, risk
from services.bots.core.holding import Holding
from services.bots.core.orders import BotOrder
from services.bots.core.risk import Exposure, MarkPoint, RiskAction, RiskLimit, RiskLimits
from tests.unit.bots.samples import swap
from tradingtools.domain.bot_order_states import BotOrderState
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import NewOrder

ONE = swap()


def order(side: Side, size: int, state: BotOrderState = BotOrderState.OPEN) -> BotOrder:
    new = NewOrder(
        order_id="a", instrument=ONE, side=side, price=640_000, size=size, not_after_ms=0
    )
    return replace(orders.intend(new, bot_id="b", epoch=1), state=state)


def exposure(held: int = 0, *standing: BotOrder, **changes: Any) -> Exposure:
    one = Exposure(
        holdings={ONE.id: Holding(size=held, cost=abs(held) * 64 * 10**8)},
        orders=standing,
        instruments={ONE.id: ONE},
        marks={ONE.id: MarkPoint(price=640_000, at_ms=1_000)},
    )
    return replace(one, **changes)


def asks(limits: RiskLimits, seen: Exposure, side: Side, size: int, now_ms: int = 1_000) -> Any:
    breach = risk.admits(
        limits, seen, instrument=ONE, side=side, price=640_000, size=size, now_ms=now_ms
    )
    return breach and breach.limit


@pytest.mark.parametrize(
    "state",
    [BotOrderState.OPEN, BotOrderState.UNKNOWN, BotOrderState.SUBMITTING, BotOrderState.DEAD],
)
def test_whatever_may_fill_counts_in_full(state: BotOrderState) -> None:
    limits = RiskLimits(max_position=100)
    seen = exposure(20, order("BUY", 50, state))

    assert asks(limits, seen, "BUY", 30) is None
    assert asks(limits, seen, "BUY", 31) is RiskLimit.MAX_POSITION


def test_resting_sells_let_no_buy_in() -> None:
    assert (
        asks(RiskLimits(max_position=100), exposure(90, order("SELL", 90)), "BUY", 20)
        is RiskLimit.MAX_POSITION
    )


def test_what_only_reduces_passes_every_limit_but_the_rate() -> None:
    tight = RiskLimits(max_position=0, max_notional=0, max_order_notional=0, max_open_orders=0)

    assert asks(tight, exposure(100), "SELL", 100, now_ms=10**9) is None
    assert asks(tight, exposure(100, order("SELL", 1)), "SELL", 100) is not None
    rated = replace(tight, max_orders_per_minute=0)
    assert asks(rated, exposure(100), "SELL", 1) is RiskLimit.MAX_ORDERS_PER_MINUTE


def test_a_limit_of_zero_lets_nothing_in_and_an_absent_one_everything() -> None:
    assert asks(RiskLimits(max_notional=0), exposure(), "BUY", 1) is RiskLimit.MAX_NOTIONAL
    assert asks(RiskLimits(), exposure(), "BUY", 10**9) is None


def test_without_a_fresh_mark_nothing_new_opens() -> None:
    assert asks(RiskLimits(), exposure(), "BUY", 1, now_ms=6_001) is RiskLimit.STALE_MARKS
    assert asks(RiskLimits(), exposure(marks={}), "BUY", 1) is RiskLimit.STALE_MARKS


@given(
    start=st.integers(-100, 100),
    requested=st.lists(
        st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 80)), max_size=12
    ),
    fills=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_no_course_of_orders_and_fills_passes_the_limit(
    start: int, requested: list[tuple[Side, int]], fills: list[bool]
) -> None:
    limits, held = RiskLimits(max_position=100), start
    standing: list[BotOrder] = []
    for (side, size), fill in zip(requested, fills, strict=False):
        if asks(limits, exposure(held, *standing), side, size) is not None:
            continue
        if fill:
            held += size if side == "BUY" else -size
        else:
            standing.append(order(side, size))

    buys = sum(one.reserved for one in standing if one.order.side == "BUY")
    sells = sum(one.reserved for one in standing if one.order.side == "SELL")
    assert held + buys <= 100
    assert held - sells >= -100


def test_losses_stop_by_the_table() -> None:
    limits = RiskLimits(max_daily_loss=50, max_drawdown=80, max_unrealised_loss=30)
    equity = risk.Equity(result=-60, day_start=0, peak=10)

    found = risk.breaches(limits, equity, -40, money=swap())

    assert [one.limit for one in found] == [
        RiskLimit.MAX_UNREALISED_LOSS,
        RiskLimit.MAX_DAILY_LOSS,
    ]
    assert [one.detail for one in found] == [
        "a loss of 0.0000004 reaches 0.0000003 USDT",
        "a loss of 0.0000006 reaches 0.0000005 USDT",
    ]
    assert found[0].action is RiskAction.FLATTEN_AND_STOP
    assert set(risk.RULES) == set(RiskLimit)
