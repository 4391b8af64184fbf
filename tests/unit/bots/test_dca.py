"""Dollar-cost averaging, against sizes, averages and targets computed by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from services.bots.core.holding import Holding
from services.bots.core.strategy import (
    EndEvent,
    Finished,
    Quote,
    TimerEvent,
    View,
    Wake,
    Withdraw,
    WorkingOrder,
)
from services.bots.strategies.dca import RETRY_MS, Dca, DcaState
from services.bots.strategies.registry import snapshot, state
from tests.unit.bots.samples import book, swap
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind, TradingPhase
from tradingtools.domain.strategies import ConfigError, DcaConfig, FinishWhen, config
from tradingtools.venues.trading import RestingTime

# Prices in cents, sizes in ten thousandths, money in millionths.
SPOT = Instrument(
    id="okx:ETH-USDT",
    kind=InstrumentKind.SPOT,
    base="ETH",
    quote="USDT",
    settle="USDT",
    price_digits=2,
    size_digits=4,
    money_digits=6,
    tick_size=1,
    lot_size=1,
    minimum_size=10,
)
INVERSE = swap(inverse=True, contract="100")
USDT = 1_000_000
PLAN = DcaConfig(
    instrument_id=SPOT.id,
    amount=1_000 * USDT,
    interval_s=60,
    max_slippage=10_000,
    budget=3_000 * USDT,
    take_profit=100_000,
)
DCA = Dca()
BOUGHT = Holding(size=300_000, cost=2_700 * USDT)
"""10 at 100 and 20 at 85: 30 for 2700, so 90 on average."""


def view(**changes: Any) -> View:
    one = View(
        now_ms=1_000_000,
        instruments={SPOT.id: SPOT, INVERSE.id: INVERSE},
        books={
            SPOT.id: book(SPOT, [(9_990, 500_000)], [(10_000, 500_000)]),
            INVERSE.id: book(INVERSE, [(499_990, 500)], [(500_000, 500)]),
        },
    )
    return replace(one, **changes)


def flying(order_id: str = "a") -> WorkingOrder:
    return WorkingOrder(
        slot="buy",
        order_id=order_id,
        instrument_id=SPOT.id,
        side="BUY",
        price=10_100,
        size=99_009,
        filled=0,
        certain=False,
    )


def by_slot(intents: tuple[Any, ...]) -> dict[str, Any]:
    return {one.slot: one for one in intents if isinstance(one, Quote | Withdraw)}


def test_a_buy_spends_the_amount_within_the_slippage() -> None:
    _, intents = DCA.on(PLAN, DcaState(), TimerEvent(), view())

    # 1 % above 100 is 101; 1000 / 101 = 9.90099, in lots 9.9009.
    buy = by_slot(intents)["buy"]
    assert (buy.side, buy.price, buy.size) == ("BUY", 10_100, 99_009)
    assert buy.time_in_force is RestingTime.IOC
    assert isinstance(by_slot(intents)["take_profit"], Withdraw)


def test_one_interval_buys_once() -> None:
    seen = view(standing={"buy": flying()})
    used, intents = DCA.on(PLAN, DcaState(), TimerEvent(), seen)
    assert "buy" not in by_slot(intents)
    assert used.next_ms == 1_060_000

    # Ended, and its fills are not booked yet: nothing stands, and nothing is due.
    _, intents = DCA.on(PLAN, used, TimerEvent(), view(now_ms=1_000_200))
    assert isinstance(by_slot(intents)["buy"], Withdraw)
    assert Wake(at_ms=1_060_000) in intents

    ended, intents = DCA.on(PLAN, used, EndEvent("buy", "a", 99_009, ""), view(now_ms=1_000_300))
    assert ended == used
    _, intents = DCA.on(PLAN, ended, TimerEvent(), view(now_ms=1_060_000))
    assert isinstance(by_slot(intents)["buy"], Quote)


def test_an_interval_whose_order_nobody_saw_standing_is_used_by_its_end() -> None:
    used, _ = DCA.on(PLAN, DcaState(), EndEvent("buy", "a", 99_009, ""), view())

    assert used.next_ms == 1_060_000


def test_a_buy_that_got_nothing_is_tried_again_soon() -> None:
    used, intents = DCA.on(PLAN, DcaState(), EndEvent("buy", "a", 0, "ioc"), view())

    assert used.next_ms == 1_000_000 + RETRY_MS
    assert isinstance(by_slot(intents)["buy"], Withdraw)


def test_missed_intervals_are_not_made_up_for() -> None:
    late = view(now_ms=1_250_000, standing={"buy": flying()})

    used, _ = DCA.on(PLAN, DcaState(next_ms=1_060_000), TimerEvent(), late)

    # Due at 1060, 1120, 1180 and 1240 s: one buy, and the next at 1300 s.
    assert used.next_ms == 1_300_000


def test_all_is_sold_above_the_average_cost() -> None:
    seen = view(holdings={SPOT.id: BOUGHT})
    after, intents = DCA.on(PLAN, DcaState(next_ms=1_060_000), TimerEvent(), seen)

    # 10 % above 90 is 99.
    sell = by_slot(intents)["take_profit"]
    assert (sell.side, sell.price, sell.size) == ("SELL", 9_900, 300_000)
    assert (sell.time_in_force, sell.reduce_only) == (RestingTime.GTC, False)
    assert DCA.explain(PLAN, after, seen) == {
        "buy": "buys for 1000 in 60 s; 2700 USDT of 3000 spent",
        "take_profit": "sells 30 at 99: 10 % above the average of 90",
    }


def test_a_target_is_rounded_up() -> None:
    # 3 for 1000: 333.33 on average, and 10 % above it is 366.666...
    seen = view(holdings={SPOT.id: Holding(size=30_000, cost=1_000 * USDT)})

    _, intents = DCA.on(PLAN, DcaState(), TimerEvent(), seen)

    assert by_slot(intents)["take_profit"].price == 36_667


def test_an_inverse_contract_is_bought_and_sold_by_its_worth_in_base() -> None:
    # A contract of 100 USD at 50000 is worth 0.002 BTC; 0.01 BTC buys five.
    plan = replace(PLAN, instrument_id=INVERSE.id, amount=1_000_000, budget=None)
    seen = view(holdings={INVERSE.id: Holding(size=100, cost=200_000)})

    _, intents = DCA.on(plan, DcaState(), TimerEvent(), seen)

    assert by_slot(intents)["buy"].size == 500
    sell = by_slot(intents)["take_profit"]
    assert (sell.price, sell.reduce_only) == (550_000, True)


def test_the_last_buy_is_what_the_budget_leaves() -> None:
    _, intents = DCA.on(PLAN, DcaState(), TimerEvent(), view(holdings={SPOT.id: BOUGHT}))
    # 300 / 101 = 2.97029.
    assert by_slot(intents)["buy"].size == 29_702

    spent = replace(BOUGHT, cost=3_000 * USDT)
    after, intents = DCA.on(PLAN, DcaState(), TimerEvent(), view(holdings={SPOT.id: spent}))
    assert isinstance(by_slot(intents)["buy"], Withdraw)
    why = DCA.explain(PLAN, after, view(holdings={SPOT.id: spent}))
    assert why["buy"] == "buys no more: 3000 USDT is spent"


@pytest.mark.parametrize("finish", list(FinishWhen))
def test_when_all_is_sold_the_plan_ends_or_begins_again(finish: FinishWhen) -> None:
    profit = None if finish is FinishWhen.BUDGET else 100_000
    plan = replace(PLAN, finish_when=finish, take_profit=profit)
    held, _ = DCA.on(plan, DcaState(), TimerEvent(), view(holdings={SPOT.id: BOUGHT}))

    after, intents = DCA.on(plan, held, EndEvent("take_profit", "b", 300_000, ""), view())

    if finish is FinishWhen.SOLD:
        assert intents == (Finished(why="all was sold"),)
    else:
        assert isinstance(by_slot(intents)["buy"], Quote)
        assert not after.bought


def test_a_rest_below_the_smallest_order_keeps_no_plan_from_its_end() -> None:
    """A fee in coins leaves less than a lot, which nobody can sell."""
    plan = replace(PLAN, finish_when=FinishWhen.SOLD)
    held, _ = DCA.on(plan, DcaState(), TimerEvent(), view(holdings={SPOT.id: BOUGHT}))
    dust = view(holdings={SPOT.id: Holding(size=SPOT.minimum_size - 1, cost=USDT)})

    _, intents = DCA.on(plan, held, EndEvent("take_profit", "b", 299_991, ""), dust)

    assert intents == (Finished(why="all was sold"),)


def test_with_the_budget_spent_the_plan_ends_by_setting() -> None:
    plan = replace(PLAN, finish_when=FinishWhen.BUDGET, take_profit=None)
    spent = view(holdings={SPOT.id: replace(BOUGHT, cost=3_000 * USDT)})

    _, intents = DCA.on(plan, DcaState(), TimerEvent(), spent)
    assert intents == (Finished(why="the budget is spent"),)
    _, intents = DCA.on(plan, DcaState(), TimerEvent(), replace(spent, standing={"buy": flying()}))
    assert not any(isinstance(one, Finished) for one in intents)


@pytest.mark.parametrize(
    "seen",
    [
        view(books={}),
        view(books={SPOT.id: book(SPOT, [], [(10_000, 5)], status=BookStatus.STALE)}),
        view(books={SPOT.id: book(SPOT, [(9_990, 5)], [])}),
        view(instruments={SPOT.id: replace(SPOT, phase=TradingPhase.SUSPENDED)}),
    ],
    ids=["no book", "stale", "no ask", "suspended"],
)
def test_without_a_price_nothing_is_bought(seen: View) -> None:
    _, intents = DCA.on(PLAN, DcaState(), TimerEvent(), seen)

    assert isinstance(by_slot(intents)["buy"], Withdraw)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"amount": 0}, "config.amount"),
        ({"budget": 5}, "config.budget: expected at least amount"),
        ({"finish_when": "SOLD"}, "config.take_profit: expected a value"),
        ({"finish_when": "BUDGET"}, "config.budget: expected a value"),
        ({"finish_when": "BUDGET", "budget": 10, "take_profit": 5}, "config.take_profit"),
    ],
)
def test_settings_that_make_no_plan_are_refused(change: dict[str, Any], text: str) -> None:
    values = {"instrument_id": SPOT.id, "amount": 10, "interval_s": 60, **change}

    with pytest.raises(ConfigError, match=re.escape(text)):
        config("dca", values)


def test_a_snapshot_is_the_state() -> None:
    after, _ = DCA.on(PLAN, DcaState(), TimerEvent(), view(standing={"buy": flying()}))

    assert state("dca", msgspec.json.decode(snapshot(after))) == after
