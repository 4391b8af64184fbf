"""Backtests: the same tape gives the same result, and all money is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from backtest.exchange import FeeRates
from backtest.run import Assumptions, Backtest, Outcome
from backtest.tape import SeededMarket, record, recorded, seeded
from services.bots.core.risk import RiskLimits
from services.bots.core.strategy import Intent, Quote, StrategyEvent, View
from services.bots.strategies.market_making import MarketMaking
from tests.unit.bots.samples import swap
from tradingtools.domain.strategies import MarketMakingConfig
from tradingtools.venues.trading import Fill, TradingBook

ONE = swap()
MARKET = SeededMarket(instrument=ONE, seed=3, seconds=120, start_price=640_000, level_size=300)
CONFIG = MarketMakingConfig(
    instrument_id=ONE.id,
    order_size=100,
    max_position=500,
    risk_aversion=0.02,
    arrival_decay=20.0,
    min_half_spread=1,
    max_half_spread=30,
)
ASSUMED = Assumptions(fees=FeeRates(maker=20, taker=500))


def played(seed: int = 3, **changes: float) -> Outcome:
    market = replace(MARKET, seed=seed, **changes)  # type: ignore[arg-type]
    limits = RiskLimits(max_position=600)
    test = Backtest(MarketMaking(), CONFIG, {ONE.id: ONE}, limits=limits, assumptions=ASSUMED)
    return test.run(seeded(market))


def cash(fills: tuple[Fill, ...]) -> int:
    """Money that came in less what went out, fees included, by the fills alone."""
    total = 0
    for fill in fills:
        worth = ONE.notional(fill.price, fill.size, up=fill.side == "BUY")
        total += (-worth if fill.side == "BUY" else worth) - fill.fee
    return total


@pytest.mark.parametrize("drift", [0.0, 0.05], ids=["flat", "trend"])
def test_a_market_maker_trades_on_both_sides_and_every_unit_is_accounted_for(drift: float) -> None:
    outcome = played(drift=drift)

    sides = {side: [one for one in outcome.fills if one.side == side] for side in ("BUY", "SELL")}
    assert min(map(len, sides.values())) > 5
    position = sum(one.size for one in sides["BUY"]) - sum(one.size for one in sides["SELL"])
    assert abs(position) <= 600
    assert outcome.fees == sum(one.fee for one in outcome.fills) > 0
    assert outcome.state.fees == outcome.fees
    assert outcome.state.fills == len(outcome.fills)
    # The curve's last point is what cash and the position at the last mid make.
    tape = seeded(replace(MARKET, drift=drift))
    last = [event for event in tape if isinstance(event, TradingBook)][-1]
    middle = (last.bids[0][0] + last.asks[0][0]) // 2
    exact = cash(outcome.fills) + ONE.notional(middle, position, up=False)
    assert abs(outcome.curve[-1][1] - exact) <= 2 * len(outcome.fills) + 1
    assert outcome.breaches == ()


def test_the_same_tape_gives_the_same_result_in_any_process() -> None:
    here = [played(seed) for seed in (3, 4)]

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as others:
        there = list(others.map(played, (3, 4)))

    assert here == there
    assert here[0] != here[1]


def test_a_recording_plays_as_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    count = record(path, seeded(MARKET))
    test = Backtest(
        MarketMaking(),
        CONFIG,
        {ONE.id: ONE},
        limits=RiskLimits(max_position=600),
        assumptions=ASSUMED,
    )

    assert test.run(recorded(path)) == played()
    assert count == played().events


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    record(path, seeded(replace(MARKET, seconds=1)))
    path.write_text(path.read_text() + '{"book": 3}\n')

    with pytest.raises(ValueError, match=r"tape\.jsonl, line \d+: .*book"):
        list(recorded(path))


def test_a_loss_stops_the_bot_by_its_limit() -> None:
    limits = RiskLimits(max_position=600, max_drawdown=1)
    test = Backtest(MarketMaking(), CONFIG, {ONE.id: ONE}, limits=limits, assumptions=ASSUMED)

    outcome = test.run(seeded(MARKET))

    assert outcome.breaches[0].startswith("max_drawdown")
    assert len(outcome.fills) < len(played().fills) / 4
    assert test.bot.quiet


class OneBid:
    """Bids one price, whatever happens; its setting is the price."""

    def begin(self, config: int) -> None:
        """Begin without a state."""

    def on(
        self, config: int, state: None, event: StrategyEvent, view: View
    ) -> tuple[None, tuple[Intent, ...]]:
        """Return the bid."""
        return None, (Quote(slot="bid", instrument_id=ONE.id, side="BUY", price=config, size=100),)

    def explain(self, config: int, state: None, view: View) -> Mapping[str, str]:
        """Return nothing of its own."""
        return {}


@pytest.mark.parametrize(("price", "taken"), [(700_000, True), (700_005, False), (-10, False)])
def test_a_price_that_no_exchange_takes_is_refused_with_the_reason(price: int, taken: bool) -> None:
    coarse = replace(ONE, tick_size=10)
    test = Backtest(OneBid(), price, {ONE.id: coarse}, assumptions=ASSUMED)

    outcome = test.run(seeded(replace(MARKET, instrument=coarse, seconds=5)))

    assert bool(outcome.fills) == taken
    refused = "refused by its venue: BAD_REQUEST price is no multiple of the tick of " + ONE.id
    assert dict(outcome.explained).get("bid") == (None if taken else refused)
