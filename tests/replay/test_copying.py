"""Copies on paper: the router's core decides, recorded levels fill, sums add up to the micro."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay import tape as tapes
from replay.core.answer import assumptions, outcome
from replay.core.copying import PaperFollower
from replay.core.fills import buy, sell
from replay.core.values import ObservedTrade, Resolved
from tests.replay.test_day import RecordedLife
from tests.unit import samples
from tradingtools.domain.book import Level
from tradingtools.domain.copy_settings import CopySettings, ExitBelowMinimum
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, Source, TradeKey, merge
from tradingtools.domain.money import MICROS
from tradingtools.domain.subscription import Subscription
from tradingtools.storage import recordings

ASSET = "7"
NOW_MS = 1_800_000_000_000
DEEP = ((500_000, 1_000 * MICROS),)


def follows(settings_: CopySettings | None = None, leader: str = samples.LEADER) -> Subscription:
    """Return who spends 10 USDC on each buy."""
    made = replace(samples.subscription(), leader=leader)
    return made if settings_ is None else replace(made, settings=settings_)


def traded(
    number: int, side: Side, shares: int, *, held: int | None = None, price: str = "0.5"
) -> LeaderTrade:
    """Return one trade of the leader."""
    micros = int(float(price) * MICROS)
    row = LeaderRow(
        key=TradeKey(
            leader_tx=f"0x{number:064x}", leader=samples.LEADER, asset_id=ASSET, side=side
        ),
        condition_id=samples.CONDITION,
        price_text=price,
        price_micros=micros,
        size_micros=shares * MICROS,
        count=1,
        source=Source.FEED,
        traded_ms=NOW_MS + number * 1000,
        received_ns=(NOW_MS + number * 1000) * 10**6,
        held_before_micros=None if held is None else held * MICROS,
    )
    made = merge(None, row)
    assert made is not None
    return made


def seen(trade: LeaderTrade, levels: tuple[Level, ...] | None = DEEP) -> ObservedTrade:
    """Return it as a follower's router sees it, half a second later."""
    return ObservedTrade(
        trade=trade,
        at_ms=trade.traded_ms + 500,
        book=samples.book(),
        levels=levels,
    )


def test_buy_fills_at_recorded_levels_within_its_limit() -> None:
    levels = ((500_000, 8 * MICROS), (510_000, 4 * MICROS), (600_000, 100 * MICROS))
    follower = PaperFollower(follows())
    follower.follow([seen(traded(1, Side.BUY, 100), levels)])
    assert follower.sums.spent_micros == 4_000_000 + 2_040_000
    assert follower.held == {ASSET: (12 * MICROS, 6_040_000)}
    assert follower.sums.leader_micros == 6_000_000
    assert (follower.sums.copied, follower.sums.orders, follower.sums.unfilled) == (1, 1, 0)


def test_a_sell_takes_its_part_and_a_resolution_pays_the_rest() -> None:
    follower = PaperFollower(follows())
    follower.follow(
        [
            seen(traded(1, Side.BUY, 100)),
            seen(traded(2, Side.SELL, 50, held=100), ((490_000, 1_000 * MICROS),)),
            Resolved(asset_id=ASSET, at_ms=NOW_MS + 60_000, payout_micros=MICROS),
        ]
    )
    sums = follower.sums
    bought = sums.spent_micros * 2
    sold = -(-bought // 2)
    sold -= sold % 10_000
    assert sums.received_micros == sold * 490_000 // MICROS + (bought - sold)
    assert follower.held == {}
    assert sums.realised_micros == sums.received_micros - sums.spent_micros
    assert sums.resolved == 1


def test_exit_without_a_bid_goes_lower_and_leaves_the_rest() -> None:
    follower = PaperFollower(follows())
    bids = ((470_000, 5 * MICROS), (300_000, 6 * MICROS))
    follower.follow(
        [seen(traded(1, Side.BUY, 100)), seen(traded(2, Side.SELL, 100, held=100), bids)]
    )
    (shares, _) = follower.held[ASSET]
    assert shares == follower.sums.spent_micros * 2 - 11 * MICROS
    assert follower.sums.received_micros == 5 * 470_000 + 6 * 300_000
    assert follower.sums.orders > 2


def test_what_nobody_recorded_is_filled_at_the_worst_and_counted() -> None:
    follower = PaperFollower(follows())
    follower.follow(
        [
            seen(traded(1, Side.BUY, 100), None),
            seen(traded(2, Side.SELL, 100, held=100), None),
        ]
    )
    sums = follower.sums
    assert (sums.assumed_buys, sums.assumed_sells) == (1, 1)
    # 3 % above, and 3 % below the leader's price.
    assert sums.spent_micros > 9_700_000
    assert sums.received_micros == sums.spent_micros * 485_000 // 510_000
    assert len(assumptions(follower)) == 2


def test_small_sells_add_up_until_they_can_be_sold() -> None:
    settings_ = CopySettings(exit_below_minimum=ExitBelowMinimum.ACCUMULATE)
    follower = PaperFollower(follows(settings_))
    sells = [seen(traded(2 + n, Side.SELL, 10, held=100 - 10 * n), DEEP) for n in range(4)]
    follower.follow([seen(traded(1, Side.BUY, 100)), *sells])
    bought = follower.sums.spent_micros * 2
    (shares, _) = follower.held[ASSET]
    assert bought * 6 // 10 <= shares < bought
    assert follower.sums.refused["ACCUMULATING"] >= 1  # type: ignore[index]


def test_spent_budget_buys_no_more_until_a_sale() -> None:
    follower = PaperFollower(follows(), budget_micros=15 * MICROS)
    follower.follow(
        [
            seen(traded(1, Side.BUY, 100)),
            seen(traded(2, Side.BUY, 100)),
            seen(traded(3, Side.BUY, 100)),
        ]
    )
    assert follower.sums.spent_micros <= 15 * MICROS
    assert follower.sums.refused["BUDGET"] == 1  # type: ignore[index]
    follower.follow([seen(traded(4, Side.SELL, 300, held=300)), seen(traded(5, Side.BUY, 100))])
    assert follower.sums.copied == 4


def test_fees_are_paid_on_both_sides() -> None:
    bought = buy(DEEP, 10 * MICROS, 510_000, 70_000)
    assert (bought.fee_micros, bought.money_micros) == (175_000, 5_175_000)
    sold = sell(DEEP, 10 * MICROS, 490_000, 70_000)
    assert (sold.fee_micros, sold.money_micros) == (175_000, 4_825_000)


@given(
    st.lists(st.tuples(st.integers(1, 999_999), st.integers(1, 10**8)), max_size=5),
    st.integers(1, 10**8),
    st.integers(1, 999_999),
    st.integers(0, 70_000),
)
@settings(max_examples=50, deadline=None)
def test_fill_never_exceeds_the_levels_or_its_limit(
    levels: list[Level], size: int, limit: int, rate: int
) -> None:
    asks, bids = sorted(levels), sorted(levels, reverse=True)
    for fill, within in (
        (buy(asks, size, limit, rate), sum(s for p, s in asks if p <= limit)),
        (sell(bids, size, limit, rate), sum(s for p, s in bids if p >= limit)),
    ):
        assert fill.size_micros == min(size, within)
        assert sum(s for _, s in fill.left) == sum(s for _, s in levels) - fill.size_micros
    assert buy(asks, size, limit, rate).money_micros * MICROS <= (
        size * limit + (buy(asks, size, limit, rate).fee_micros + len(asks)) * MICROS
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recording")
    asyncio.run(RecordedLife(seed=1, often=0.05, directory=directory).live())
    return directory


def test_tape_has_one_verdict_a_trade_and_money_adds_up(recorded: Path) -> None:
    days = recordings.days(recorded)
    leaders = {
        judgement.trade.key.leader
        for judgement in tapes.read(recorded, days, _Anybody(), 0, 2**62).seen
    }
    for leader in leaders:
        read = tapes.read(recorded, days, {leader}, 0, 2**62)
        follower = PaperFollower(follows(leader=leader))
        follower.follow(read.seen)
        sums, held = follower.sums, follower.held
        keys = {one.trade.key for one in read.seen}
        assert sums.buys + sums.sells == len(keys)
        assert sums.copied + sum(sums.refused.values()) == len(keys)
        left = sum(cost for _, cost in held.values())
        assert sums.realised_micros == sums.received_micros - (sums.spent_micros - left)
        reported = outcome(follower, read.marks)
        assert ("profit" in reported) == (reported["unmarked_outcomes"] == 0)


class _Anybody(frozenset[str]):
    def __contains__(self, _: object) -> bool:
        return True
