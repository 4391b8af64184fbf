"""A market maker's profit by its sources, on a flat market and on one that takers know more of."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from backtest.exchange import FeeRates
from backtest.run import Assumptions, Backtest, Outcome
from backtest.tape import SeededMarket, merged, seeded
from services.bots.core.risk import RiskLimits
from services.bots.strategies.market_making import MarketMaking
from tests.backtest.markets import NO, ONE, YES, mirrored
from tests.unit.bots.samples import swap
from tradingtools.domain.strategies import MarketMakingConfig

SWAP = swap()
FLAT = SeededMarket(
    instrument=SWAP, seed=9, seconds=400, start_price=640_000, level_size=300,
    updates_per_second=4, prints_per_second=2,
)  # fmt: skip
TRENDS = replace(FLAT, drift=1.2, turn_s=20.0)
CONFIG = MarketMakingConfig(
    instrument_id=SWAP.id,
    order_size=100,
    max_position=500,
    risk_aversion=0.02,
    arrival_decay=20.0,
    max_half_spread=40,
    adverse_weight=0.0,
    toxic_imbalance=1.0,
)


@cache
def played(config: MarketMakingConfig, market: SeededMarket) -> Outcome:
    test = Backtest(
        MarketMaking(),
        config,
        {SWAP.id: SWAP},
        limits=RiskLimits(max_position=600),
        assumptions=Assumptions(fees=FeeRates(maker=1, taker=500)),
    )
    return test.run(seeded(market))


def inventory(outcome: Outcome) -> int:
    """Return what was made by what was held: all but spread and fees."""
    spread: int = outcome.state.spread_gain
    return outcome.made + outcome.unrealised + outcome.fees - spread


def test_spread_pays_on_a_flat_market_and_adverse_selection_costs_on_a_trending_one() -> None:
    flat, trend = (played(CONFIG, market) for market in (FLAT, TRENDS))

    for outcome in (flat, trend):
        sides = [one.side for one in outcome.fills]
        assert min(sides.count("BUY"), sides.count("SELL")) >= 10
        assert outcome.state.spread_gain > 0
        assert outcome.state.judged > 20
    # Takers who know where the price goes trade first: the mid moves against each fill after it.
    assert trend.state.markout < 0
    assert trend.state.markout / trend.state.judged < flat.state.markout / flat.state.judged
    assert inventory(trend) < 0
    assert inventory(trend) < inventory(flat)


def test_a_maker_that_heeds_adverse_selection_loses_less_to_it() -> None:
    heeding = replace(CONFIG, adverse_weight=1.0, toxic_imbalance=0.75)

    careless, careful = played(CONFIG, TRENDS), played(heeding, TRENDS)

    assert 0 > careful.state.markout > careless.state.markout
    assert len(careful.fills) < len(careless.fills)
    made = [one.made + one.unrealised for one in (careless, careful)]
    assert made[1] > made[0]
    # Its quotes say why they are wider.
    assert careful.state.adverse < 0


def test_both_outcomes_of_a_binary_are_bought() -> None:
    market = SeededMarket(
        instrument=YES, seed=7, seconds=300, start_price=500_000, level_size=40 * ONE,
        updates_per_second=3,
    )  # fmt: skip
    config = MarketMakingConfig(
        instrument_id=YES.id, complement_id=NO.id, order_size=10 * ONE, max_position=50 * ONE,
        risk_aversion=0.1, arrival_decay=1000.0, max_half_spread=10_000,
    )  # fmt: skip
    test = Backtest(
        MarketMaking(), config, {YES.id: YES, NO.id: NO}, limits=RiskLimits(max_position=60 * ONE)
    )

    outcome = test.run(merged(seeded(market), mirrored(seeded(market), seed=3, dislocated=0)))

    bought = {one.instrument_id for one in outcome.fills if one.side == "BUY"}
    assert bought == {YES.id, NO.id}
    held = [test.bot.view(0).holding(one.id).size for one in (YES, NO)]
    assert min(held) >= 0
    assert abs(held[0] - held[1]) <= 60 * ONE
