"""A binary hedged by its delta, against figures computed by hand from the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from services.bots.core.holding import Holding
from services.bots.core.strategy import BookEvent, Quote, View
from services.bots.strategies.delta_hedge import YEAR_MS, DeltaHedge, model
from services.bots.strategies.pair import FIRST, SECOND, PairState, TrancheState
from services.bots.strategies.registry import snapshot, state
from tests.unit.bots.samples import book, outcome, swap
from tradingtools.domain.strategies import ConfigError, DeltaHedgeConfig, config
from tradingtools.venues.ports import Side

YES, SWAP = outcome("yes"), swap()
ONE = 1_000_000
NOW = 1_000_000
CONFIG = DeltaHedgeConfig(
    binary_id=YES.id,
    hedge_id=SWAP.id,
    strike=640_010,
    expires_ms=NOW + YEAR_MS // 4,
    volatility=0.5,
    order_size=1_000 * ONE,
    max_position=3_000 * ONE,
    min_edge=20_000,
    binary_fee=10_000,
    hedge_fee=500,
    max_loss=50 * ONE,
    max_slippage=0,
)
HEDGE = DeltaHedge()


def view(shares: int = 0, contracts: int = 0, ask: int = 420_000, **changes: Any) -> View:
    one = View(
        now_ms=NOW,
        instruments={YES.id: YES, SWAP.id: SWAP},
        books={
            YES.id: book(YES, [(ask - 10_000, 9_000 * ONE)], [(ask, 9_000 * ONE)]),
            SWAP.id: book(SWAP, [(640_005, 10**6)], [(640_015, 10**6)]),
        },
        holdings={
            YES.id: Holding(size=shares, cost=shares * 42 // 100),
            SWAP.id: Holding(size=contracts, cost=SWAP.notional(640_010, abs(contracts), up=True)),
        },
    )
    return replace(one, **changes)


def decided(
    seen: View, settings: DeltaHedgeConfig = CONFIG, before: TrancheState | None = None
) -> tuple[TrancheState, dict[str, tuple[Side, int, bool]]]:
    after, intents = HEDGE.on(settings, before or TrancheState(), BookEvent(YES.id), seen)
    found = {
        one.slot: (one.side, one.size, one.reduce_only) for one in intents if isinstance(one, Quote)
    }
    return after, found


def test_the_models_formulas() -> None:
    # At the money, T = 1/4, v = 0.5: v sqrt T = 0.25, d2 = -0.125, N(d2) = 0.450262, and the delta
    # is n(d2) / (S * 0.25) = 0.395838 / 16000.25 = 0.0000247395.
    worth, delta = model(64_001.0, 64_001.0, 0.25, 0.5)

    assert worth == pytest.approx(0.450262, abs=1e-6)
    assert delta == pytest.approx(0.0000247395, rel=1e-5)
    assert model(64_002.0, 64_001.0, 0.0, 0.5) == (1.0, 0.0)
    assert model(64_000.0, 64_001.0, -1.0, 0.5) == (0.0, 0.0)


def test_shares_below_their_worth_are_bought_first() -> None:
    # 0.42 and a fee of 0.0042 and an edge of 0.02: 0.4442, and the worth is 0.4502.
    assert decided(view())[1] == {FIRST: ("BUY", 1_000 * ONE, False)}
    assert decided(view(ask=430_000))[1] == {}
    # A tranche that is sold again at 0.41 loses 0.01 and fees of 0.0083: 50 for 2732 shares.
    bound = replace(CONFIG, max_loss=5 * ONE)
    assert decided(view(), bound)[1] == {FIRST: ("BUY", 273_220_000, False)}
    said = HEDGE.explain(CONFIG, TrancheState(), view())["model"]
    assert said == (
        "price 64001, strike 64001, 91.25 days at 0.5 a year: worth 0.4503, ask 0.42; "
        "delta 2.474e-05 BTC a share (model risk: no arbitrage)"
    )


def test_what_is_booked_is_hedged_by_its_delta_rounded_down() -> None:
    # 1000 shares: 0.0247395 BTC, 2.47 contracts of 0.01.
    assert decided(view(1_000 * ONE))[1] == {SECOND: ("SELL", 247, False)}
    below = replace(CONFIG, pays_above=False)
    assert decided(view(1_000 * ONE, ask=500_000), below)[1] == {SECOND: ("BUY", 247, False)}


def test_a_hedge_that_is_too_large_is_reduced_and_never_matched() -> None:
    assert decided(view(1_000 * ONE, -300))[1] == {SECOND: ("BUY", 52, True)}
    # Within the band of 10 % nothing is sent for it.
    found = decided(view(1_000 * ONE, -230, ask=440_000))[1]
    assert found == {}


def test_shares_whose_hedge_fails_are_sold() -> None:
    late = TrancheState(legs=PairState(lone_since_ms=1))

    assert decided(view(1_000 * ONE), before=late)[1] == {FIRST: ("SELL", 1_000 * ONE, False)}


def test_it_closes_above_the_worth_and_before_the_end() -> None:
    dear = view(1_000 * ONE, -247, ask=480_000)
    after, found = decided(dear)
    # The bid of 0.47 less 0.0047 is above 0.4503.
    assert found == {FIRST: ("SELL", 1_000 * ONE, False), SECOND: ("BUY", 247, True)}
    assert after.closing

    end = CONFIG.expires_ms - CONFIG.stop_before_s * 1000
    near = view(1_000 * ONE, -247, now_ms=end)
    # An hour before the end 21.17 shares ask for 2.47 contracts: the others go first.
    assert decided(near)[1] == {FIRST: ("SELL", 978_830_000, False)}
    assert decided(replace(near, holdings=view(21_170_000, -247).holdings))[1] == {
        FIRST: ("SELL", 21_170_000, False),
        SECOND: ("BUY", 247, True),
    }
    assert decided(replace(view(), now_ms=end))[1] == {}


def test_after_the_end_the_hedge_goes_alone() -> None:
    ended = view(0, -247, now_ms=CONFIG.expires_ms + 1)

    assert decided(ended)[1] == {SECOND: ("BUY", 247, True)}


def test_shares_are_not_bought_that_no_hedge_is_small_enough_for() -> None:
    # 3 shares ask for 0.0074 contracts, and 0.01 are the least.
    five = replace(CONFIG, order_size=5 * ONE)
    tiny = replace(SWAP, minimum_size=100, lot_size=100)

    seen = view(instruments={YES.id: YES, SWAP.id: tiny})
    assert decided(seen, five)[1] == {}


def test_settings_are_checked_and_a_snapshot_is_the_state() -> None:
    with pytest.raises(ConfigError, match="volatility"):
        config("delta_hedge", msgspec.to_builtins(replace(CONFIG, volatility=0.0)))
    one = TrancheState(legs=PairState(lone_since_ms=3), closing=True)
    assert state("delta_hedge", msgspec.json.decode(snapshot(one))) == one
