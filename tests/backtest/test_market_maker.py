"""A market maker's profit by its sources, on a flat market and on one that takers know more of."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backtest.run import Backtest
from backtest.tape import SeededMarket, merged, seeded
from services.bots.core.risk import RiskLimits
from services.bots.strategies.market_making import MarketMaking
from tests.backtest.maker_figures import RUNS, played, table
from tests.backtest.markets import NO, ONE, YES, mirrored
from tools import strategy_tables
from tradingtools.domain.strategies import MarketMakingConfig


def profit(market: str, maker: str) -> dict[str, Decimal]:
    """Return what was made by source, in USDT."""
    sources = played(market, maker).profit.sources
    return {name: Decimal(amount) for name, amount in sources.items()}


@pytest.mark.parametrize(("market", "maker"), RUNS)
def test_a_maker_fills_on_both_sides_and_its_sources_are_all_of_its_profit(
    market: str, maker: str
) -> None:
    one = played(market, maker)
    outcome, point = one.outcome, one.profit

    # Who backs off trades little on a market that trends.
    least = 100 if maker == "heedless" else 5
    assert min(one.fills("BUY"), one.fills("SELL")) >= least
    assert outcome.state.judged >= 2 * least
    assert point.unrealised is not None
    total = Decimal(point.realised) + Decimal(point.unrealised) - Decimal(point.fees)
    assert sum(profit(market, maker).values()) == total
    assert Decimal(outcome.made + outcome.unrealised) / 10**8 == total


def test_the_figures_of_the_document_are_about_those_of_the_runs() -> None:
    head, rule, *rows = table().splitlines()
    reported = strategy_tables.document().partition(f"{head}\n{rule}\n")[2].splitlines()

    for row, said in zip(rows, reported[: len(rows)], strict=True):
        ours, theirs = ([one.strip() for one in line.split("|")[1:-1]] for line in (row, said))
        assert ours[:2] == theirs[:2]
        both = [(float(ours[n]), float(theirs[n])) for n in range(2, len(ours))]
        assert all(other / 3 <= one <= 3 * other for one, other in both[:2]), (row, said)
        assert all(abs(one - other) <= 0.1 for one, other in both[2:]), (row, said)


def test_spread_pays_on_a_flat_market_and_adverse_selection_costs_on_a_trending_one() -> None:
    flat, trend = profit("flat", "heedless"), profit("trend", "heedless")

    assert flat["spread"] > 0
    assert trend["spread"] > 0
    # Takers who know where the price goes trade first: the mid moves against each fill after it,
    # by more than the spread that the fill earned.
    assert -flat["markout"] < flat["spread"] / 10
    assert -trend["markout"] > 2 * trend["spread"]
    assert sum(flat.values()) > 0 > sum(trend.values())


def test_a_maker_that_heeds_adverse_selection_loses_less_to_it() -> None:
    careless, careful = (played("trend", one) for one in ("heedless", "heedful"))

    assert 0 > careful.outcome.state.markout > careless.outcome.state.markout
    assert len(careful.outcome.fills) < len(careless.outcome.fills)
    made = [sum(profit("trend", one).values()) for one in ("heedless", "heedful")]
    assert made[1] > made[0]
    # Its quotes say why they are wider.
    assert careful.outcome.state.adverse < 0
    said = dict(careful.outcome.explained)
    assert "wider because fills lose" in said["bid"]
    assert said["profit"].startswith(f"{len(careful.outcome.fills)} fills: spread ")


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
