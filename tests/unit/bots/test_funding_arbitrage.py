"""Funding-rate arbitrage, against rates and sizes computed by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from services.bots.core.holding import Holding
from services.bots.core.strategy import BookEvent, Quote, View
from services.bots.strategies.funding_arbitrage import FundingArbitrage
from services.bots.strategies.pair import FIRST, SECOND, PairState, TrancheState
from services.bots.strategies.registry import snapshot, state
from tests.unit.bots.samples import book, spot, swap
from tradingtools.domain.strategies import ConfigError, FundingArbitrageConfig, config
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Funding

COIN, SWAP = spot(), swap()
HOUR = 3_600_000
CONFIG = FundingArbitrageConfig(
    spot_id=COIN.id,
    swap_id=SWAP.id,
    order_size=10_500_000,
    max_position=100_000_000,
    horizon_h=720,
    entry_rate=70_000,
    exit_rate=20_000,
    spot_fee=1_000,
    swap_fee=500,
    max_loss=10_000_000_000,
)
CARRY = FundingArbitrage()


def view(coins: int = 0, contracts: int = 0, rate: str = "0.0001", **changes: Any) -> View:
    one = View(
        now_ms=HOUR,
        instruments={COIN.id: COIN, SWAP.id: SWAP},
        books={
            COIN.id: book(COIN, [(639_990, 10**9)], [(640_000, 10**9)]),
            SWAP.id: book(SWAP, [(640_320, 10**6)], [(640_330, 10**6)]),
        },
        fundings={
            SWAP.id: Funding(
                instrument_id=SWAP.id, rate=Decimal(rate), at_ms=8 * HOUR, interval_ms=8 * HOUR
            )
        },
        holdings={
            COIN.id: Holding(size=coins, cost=COIN.notional(640_000, coins, up=True)),
            SWAP.id: Holding(size=-contracts, cost=SWAP.notional(640_320, contracts, up=False)),
        },
    )
    return replace(one, **changes)


def decided(
    seen: View,
    settings: FundingArbitrageConfig = CONFIG,
    before: TrancheState | None = None,
) -> tuple[TrancheState, dict[str, tuple[Side, int, bool]]]:
    event = BookEvent(COIN.id)
    after, intents = CARRY.on(settings, before or TrancheState(), event, seen)
    found = {
        one.slot: (one.side, one.size, one.reduce_only) for one in intents if isinstance(one, Quote)
    }
    return after, found


def test_it_opens_by_the_rate_a_year_after_costs_over_the_horizon() -> None:
    # 0.01 % each 8 h is 10.95 % a year. Four fees: 2 * (0.1 % + 0.05 %) = 0.3 %, within 30 days
    # 3.65 % a year: 7.3 % are left. The swap is above spot, which costs nothing.
    _, found = decided(view())
    _, dear = decided(view(), replace(CONFIG, entry_rate=73_001))

    # 0.105 BTC are 10.5 contracts of 0.01.
    assert found == {FIRST: ("BUY", 10_500_000, False), SECOND: ("SELL", 1_050, False)}
    assert dear == {}
    assert CARRY.explain(CONFIG, TrancheState(), view())["rate"] == (
        "10.95 % a year, costs of 0.3 % within 720 h: net 7.3 % a year; opens at 7 % net, "
        "closes below 2 % before costs"
    )


def test_a_swap_below_spot_is_a_cost() -> None:
    # 63968 for 64000: 0.05 % more to pay within 30 days is 0.6083 % a year: 6.6916 % are left.
    below = {**view().books, SWAP.id: book(SWAP, [(639_680, 10**6)], [(639_690, 10**6)])}

    _, dear = decided(view(books=below), replace(CONFIG, entry_rate=66_917))
    _, found = decided(view(books=below), replace(CONFIG, entry_rate=66_916))

    assert dear == {}
    assert len(found) == 2


def test_both_legs_are_of_one_size_in_whole_lots() -> None:
    # 0.10503 BTC: a lot of the swap is 0.0001 BTC, so both are of 0.1050.
    _, found = decided(view(), replace(CONFIG, order_size=10_503_000))

    assert found == {FIRST: ("BUY", 10_500_000, False), SECOND: ("SELL", 1_050, False)}


def test_what_the_fee_took_from_the_coin_is_within_the_band() -> None:
    # 0.1 % of the coin is gone: 0.104895 BTC beside 10.5 contracts, and the band is 1 %.
    _, found = decided(view(10_489_500, 1_050, rate="0.00001"), replace(CONFIG, exit_rate=0))
    assert found == {}

    narrow = replace(CONFIG, rebalance_band=500, exit_rate=0)
    _, found = decided(view(10_489_500, 1_050, rate="0.00001"), narrow)
    # 0.000105 in lots of 0.00001.
    assert found == {FIRST: ("BUY", 10_000, False)}


def test_what_liquidation_took_from_the_swap_is_made_even() -> None:
    after, found = decided(view(10_500_000, 800))

    assert found == {SECOND: ("SELL", 250, False)}
    assert after.legs.lone_since_ms == HOUR
    late = TrancheState(legs=PairState(lone_since_ms=1))
    _, found = decided(view(10_500_000, 800), before=late)
    assert found == {FIRST: ("SELL", 2_500_000, False)}


def test_it_closes_below_the_exit_rate_and_goes_on_closing() -> None:
    # 0.001 % each 8 h is 1.095 % a year, below 2 %.
    after, found = decided(view(10_500_000, 1_050, rate="0.00001"))
    assert found == {FIRST: ("SELL", 10_500_000, False), SECOND: ("BUY", 1_050, True)}

    # One leg is closed before the other: it follows, whatever the rate is by then.
    again, found = decided(view(0, 1_050), before=after)
    assert found == {SECOND: ("BUY", 1_050, True)}
    gone, found = decided(view(), before=again)
    assert not gone.closing
    assert set(found) == {FIRST, SECOND}


def test_a_rate_below_zero_is_never_earned() -> None:
    assert decided(view(rate="-0.01"), replace(CONFIG, entry_rate=0, exit_rate=0))[1] == {}


@pytest.mark.parametrize(
    ("instruments", "why"),
    [
        ({COIN.id: COIN, SWAP.id: swap(inverse=True)}, "is no linear swap"),
        ({COIN.id: replace(COIN, base="ETH"), SWAP.id: SWAP}, "of different coins"),
        ({COIN.id: SWAP, SWAP.id: SWAP}, "is no spot market"),
    ],
)
def test_instruments_that_do_not_hedge_each_other_are_named(
    instruments: dict[str, Any], why: str
) -> None:
    seen = view(instruments=instruments)

    assert decided(seen)[1] == {}
    assert why in CARRY.explain(CONFIG, TrancheState(), seen)["rate"]


def test_settings_are_checked_and_a_snapshot_is_the_state() -> None:
    with pytest.raises(ConfigError, match="exit_rate"):
        config("funding_arbitrage", msgspec.to_builtins(replace(CONFIG, exit_rate=70_001)))
    one = TrancheState(legs=PairState(lone_since_ms=3), closing=True)
    assert state("funding_arbitrage", msgspec.json.decode(snapshot(one))) == one
