"""Each strategy through the whole order core, on a short market from a seed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

from backtest.exchange import FeeRates
from backtest.run import Assumptions, Backtest, Outcome
from backtest.tape import SeededMarket, seeded
from services.bots.core.risk import RiskLimits
from services.bots.core.strategy import (
    Intent,
    Quote,
    SignalEvent,
    Strategy,
    StrategyEvent,
    TimerEvent,
    View,
)
from services.bots.strategies.dca import Dca
from services.bots.strategies.grid import Grid
from services.bots.strategies.signal import Signal, SignalState
from tests.unit.bots.samples import swap
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.strategies import DcaConfig, FinishWhen, GridConfig, SignalConfig

ONE = swap()
MARKET = SeededMarket(instrument=ONE, seed=5, seconds=120, start_price=640_000, level_size=300)


def played(
    strategy: Strategy[Any, Any], config: Any, *, most: int, market: SeededMarket = MARKET
) -> tuple[Outcome, Backtest]:
    test = Backtest(
        strategy,
        config,
        {ONE.id: ONE},
        limits=RiskLimits(max_position=most, max_orders_per_minute=600),
        assumptions=Assumptions(fees=FeeRates(maker=20, taker=500)),
    )
    return test.run(seeded(market)), test


def test_a_grid_sells_above_what_it_buys_below() -> None:
    config = GridConfig(
        instrument_id=ONE.id, lower=639_980, upper=640_020, cells=10, order_size=100
    )

    outcome, test = played(Grid(), config, most=1_100)

    assert {one.side for one in outcome.fills} == {"BUY", "SELL"}
    assert len(outcome.fills) > 10
    assert all(639_980 <= one.price <= 640_020 for one in outcome.fills)
    signed = (one.size if one.side == "BUY" else -one.size for one in outcome.fills)
    assert test.bot.holdings[ONE.id].size == sum(signed)
    # What stands at the end is what the grid wants for the position, once at each level.
    seen = test.bot.view(0)
    _, desired = Grid().on(config, outcome.state, TimerEvent(), seen)
    assert {
        one.slot: (one.side, one.price, one.size - one.filled) for one in seen.standing.values()
    } == {one.slot: (one.side, one.price, one.size) for one in desired if isinstance(one, Quote)}
    # Every pair of a buy and the sell one level above gains the step.
    assert test.bot.holdings[ONE.id].realised > 0
    assert outcome.breaches == ()


def test_a_plan_buys_each_interval_until_its_budget_is_spent() -> None:
    # Contracts of 0.01 BTC at 64000: 700 USDT buy 1.09 of them, and 1500 last for three buys.
    plan = DcaConfig(
        instrument_id=ONE.id,
        amount=70_000_000_000,
        interval_s=20,
        budget=150_000_000_000,
        finish_when=FinishWhen.BUDGET,
    )

    outcome, test = played(Dca(), plan, most=10_000)

    sizes: dict[int, int] = {}
    for one in outcome.fills:
        sizes[one.venue_ms] = sizes.get(one.venue_ms, 0) + one.size
    assert {one.side for one in outcome.fills} == {"BUY"}
    assert all(later - sooner >= 19_900 for sooner, later in pairwise(sizes))
    assert max(sizes.values()) <= 109
    assert 149_000_000_000 < test.bot.holdings[ONE.id].cost <= 150_000_000_000
    assert (test.bot.life, test.bot.quiet) == (BotState.STOPPING, True)
    assert outcome.breaches == ()


class Advised(Signal):
    """Gets signals from a timetable: each is told again and again for a second."""

    TOLD: tuple[tuple[int, int], ...] = ((10_000, 1), (40_000, -1))

    def on(
        self, config: SignalConfig, state: SignalState, event: StrategyEvent, view: View
    ) -> tuple[SignalState, tuple[Intent, ...]]:
        for after_ms, direction in self.TOLD:
            made = MARKET.start_ms + after_ms
            if made <= view.now_ms < made + 1_000:
                one = SignalEvent(f"s{after_ms}", ONE.id, direction, Decimal("0.9"), made)
                state, _ = super().on(config, state, one, view)
        return super().on(config, state, event, view)


def test_signals_turn_a_position_that_a_timeout_ends() -> None:
    config = SignalConfig(instrument_id=ONE.id, position=500, hold_s=40, reverse=True)

    outcome, test = played(Advised(), config, most=1_000)

    position, path = 0, []
    for fill in outcome.fills:
        position += fill.size if fill.side == "BUY" else -fill.size
        path.append(((fill.venue_ms - MARKET.start_ms) // 10_000, position))
    # Long from 10 s, short from 40 s, flat from 80 s: within ten seconds each.
    assert [dict(path)[tens] for tens in (1, 4, 8)] == [500, -500, 0]
    assert {tens for tens, _ in path} == {1, 4, 8}
    assert max(abs(one) for _, one in path) == 500
    assert test.bot.quiet
    assert outcome.breaches == ()


def test_a_plan_sells_no_more_than_it_bought_and_ends() -> None:
    plan = DcaConfig(
        instrument_id=ONE.id,
        amount=70_000_000_000,
        interval_s=10,
        take_profit=20,
        finish_when=FinishWhen.SOLD,
    )
    rising = replace(MARKET, drift=1.0)

    outcome, test = played(Dca(), plan, most=10_000, market=rising)

    buys = [one for one in outcome.fills if one.side == "BUY"]
    sells = [one for one in outcome.fills if one.side == "SELL"]
    assert sum(one.size for one in buys) == sum(one.size for one in sells) > 0
    orders = {one.order_id: one.venue_ms for one in buys}
    instants = list(orders.values())
    assert len(instants) > 1
    assert all(later - sooner >= 9_900 for sooner, later in pairwise(instants))
    assert (test.bot.life, test.bot.quiet) == (BotState.STOPPING, True)
    assert test.bot.holdings[ONE.id].realised > 0
    assert outcome.breaches == ()
