"""The market maker, against figures computed by hand from the paper's formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.bots.core.holding import Holding
from services.bots.core.strategy import (
    BookEvent,
    FillEvent,
    Intent,
    PrintEvent,
    Quote,
    View,
    Wake,
    Withdraw,
    WorkingOrder,
)
from services.bots.strategies.market_making import (
    MarketMaking,
    MarketMakingState,
)
from tests.unit.bots.samples import book, outcome, swap
from tradingtools.domain.book import BookStatus
from tradingtools.domain.strategies import MarketMakingConfig
from tradingtools.venues.trading import Fill, Print

ONE, YES, NO = swap(), outcome("yes"), outcome("no")
SWAP = MarketMakingConfig(
    instrument_id=ONE.id,
    order_size=100,
    max_position=500,
    risk_aversion=0.01,
    horizon_s=100.0,
    arrival_decay=0.5,
    max_half_spread=10_000,
)
BINARY = MarketMakingConfig(
    instrument_id=YES.id,
    complement_id=NO.id,
    order_size=10_000_000,
    max_position=50_000_000,
    risk_aversion=0.1,
    arrival_decay=100.0,
    max_half_spread=50_000,
)
MAKER = MarketMaking()


def view(**changes: Any) -> View:
    one = View(
        now_ms=1_000,
        instruments={ONE.id: ONE, YES.id: YES, NO.id: NO},
        books={
            ONE.id: book(ONE, [(640_000, 500)], [(640_020, 500)]),
            YES.id: book(YES, [(480_000, 10_000_000)], [(520_000, 10_000_000)]),
        },
    )
    return replace(one, **changes)


def quotes(
    config: MarketMakingConfig, state: MarketMakingState, seen: View
) -> tuple[MarketMakingState, dict[str, Intent]]:
    state, intents = MAKER.on(config, state, BookEvent(config.instrument_id), seen)
    return state, {one.slot: one for one in intents if isinstance(one, Quote | Withdraw)}


def test_the_papers_formulas() -> None:
    # g = 0.01, s2 = 4, T = 100: g s2 T = 4. Inventory of 2 orders: r = 64001 - 2 * 4 = 63993.
    # half = 4 / 2 + ln(1 + 0.01 / 0.5) / 0.01 = 2 + 1.980263 = 3.980263: 63989.01 and 63996.98.
    # The ask must not cross the bid of 64000, so it rests one tick above it.
    state = MarketMakingState(mid=64001.0, mid_ms=1_000, variance=4.0)
    held = view(holdings={ONE.id: Holding(size=200)})

    _, desired = quotes(SWAP, state, held)

    bid, ask = desired["bid"], desired["ask"]
    assert isinstance(bid, Quote)
    assert isinstance(ask, Quote)
    assert (bid.price, bid.size, bid.post_only) == (639_890, 100, True)
    assert (ask.price, ask.size, ask.post_only) == (640_001, 100, True)
    why = MAKER.explain(SWAP, state, held)["bid"]
    assert "reservation price 63993, half spread 3.98" in why


def test_a_quote_does_not_cross_its_own_other_side() -> None:
    # The mid has risen by far: the bid waits below the offer that still rests where it was.
    state = MarketMakingState(mid=64040.0, mid_ms=1_000)
    wide = {ONE.id: book(ONE, [(639_000, 500)], [(641_800, 500)])}
    offer = WorkingOrder(slot="ask", order_id="a", instrument_id=ONE.id, side="SELL", price=640_200,
                     size=100, filled=0, certain=True)  # fmt: skip

    _, free = quotes(SWAP, state, view(books=wide))
    _, desired = quotes(SWAP, state, view(books=wide, standing={"ask": offer}))

    (bid, ask), was = (desired["bid"], desired["ask"]), free["bid"]
    assert isinstance(bid, Quote)
    assert isinstance(ask, Quote)
    assert isinstance(was, Quote)
    assert was.price > 640_200
    assert bid.price == 640_199
    assert ask.price > 640_400


def test_variance_is_that_of_the_mid_by_second() -> None:
    state, _ = quotes(SWAP, MarketMakingState(), view())
    moved = view(now_ms=61_000, books={ONE.id: book(ONE, [(640_060, 1)], [(640_080, 1)])})

    state, _ = quotes(SWAP, state, moved)

    # 6 in 60 s is 0.6 a second, of which half counts after one half-life.
    assert state.variance == pytest.approx(0.3)


def test_at_the_limit_only_the_other_side_is_quoted() -> None:
    state = MarketMakingState(mid=64001.0, mid_ms=1_000)

    _, desired = quotes(SWAP, state, view(holdings={ONE.id: Holding(size=500)}))

    assert isinstance(desired["bid"], Withdraw)
    assert isinstance(desired["ask"], Quote)


def test_what_cannot_be_sold_is_a_bid_for_the_complement() -> None:
    state = MarketMakingState(mid=0.5, mid_ms=1_000)

    _, desired = quotes(BINARY, state, view())

    # half = ln(1 + 0.1 / 100) / 0.1 = 0.009995: bid 0.49, ask 0.51, which is 0.49 for NO.
    assert isinstance(desired["ask"], Withdraw)
    other = desired["complement"]
    assert isinstance(other, Quote)
    assert (other.instrument_id, other.side, other.price) == (NO.id, "BUY", 490_000)


def test_held_shares_are_sold_before_the_complement_is_bought() -> None:
    state = MarketMakingState(mid=0.5, mid_ms=1_000)

    _, desired = quotes(BINARY, state, view(holdings={YES.id: Holding(size=7_000_000)}))

    ask = desired["ask"]
    assert isinstance(ask, Quote)
    assert (ask.side, ask.size) == ("SELL", 7_000_000)
    assert isinstance(desired["complement"], Withdraw)


@pytest.mark.parametrize("status", [BookStatus.STALE, BookStatus.CROSSED, BookStatus.UNSEEN])
def test_without_a_fresh_book_nothing_is_quoted(status: BookStatus) -> None:
    doubtful = book(ONE, [(640_000, 500)], [(640_020, 500)], status=status)
    state = MarketMakingState(mid=64001.0, mid_ms=1_000)

    _, desired = quotes(SWAP, state, view(books={ONE.id: doubtful}))

    assert {type(one) for one in desired.values()} == {Withdraw}


def test_one_sided_prints_hold_the_side_in_their_way_back_for_a_while() -> None:
    state, _ = quotes(SWAP, MarketMakingState(), view())
    sweep = Print(
        instrument_id=ONE.id, trade_id="1", side="BUY", price=640_020, size=400, venue_ms=0
    )

    state, intents = MAKER.on(SWAP, state, PrintEvent(sweep), view())

    desired: dict[str, Intent] = {
        one.slot: one for one in intents if isinstance(one, Quote | Withdraw)
    }
    assert isinstance(desired["ask"], Withdraw)
    assert isinstance(desired["bid"], Quote)
    assert Wake(at_ms=6_000) in intents
    _, desired = quotes(SWAP, state, view(now_ms=6_000))
    assert isinstance(desired["ask"], Quote)


def test_a_quote_that_is_near_enough_keeps_its_place() -> None:
    state = MarketMakingState(mid=0.5, mid_ms=1_000)
    config = replace(BINARY, requote_ticks=2)
    stands = WorkingOrder(
        slot="bid",
        order_id="a",
        instrument_id=YES.id,
        side="BUY",
        price=480_000,
        size=10_000_000,
        filled=1_000_000,
        certain=True,
    )

    _, desired = quotes(config, state, view(standing={"bid": stands}))

    bid = desired["bid"]
    assert isinstance(bid, Quote)
    assert (bid.price, bid.size) == (480_000, 9_000_000)


def test_profit_against_the_mid_is_told_apart_from_fees() -> None:
    state = MarketMakingState(mid=0.5, mid_ms=1_000)
    fill = Fill(
        trade_id="t",
        order_id="a",
        venue_order_id="v",
        instrument_id=YES.id,
        side="BUY",
        price=490_000,
        size=10_000_000,
        fee=2_000,
        fee_currency="USDC",
        maker=True,
        venue_ms=0,
    )

    state, _ = MAKER.on(BINARY, state, FillEvent(fill, "bid"), view())
    assert (state.spread_gain, state.fees, state.fills) == (100_000, 2_000, 1)

    undone = FillEvent(replace(fill, undone=True), "bid")
    state, _ = MAKER.on(BINARY, state, undone, view())
    assert (state.spread_gain, state.fees, state.fills) == (0, 0, 0)


def test_a_fill_is_judged_by_the_mid_that_follows_it() -> None:
    # 10 YES at 0.49 with the mid at 0.5; ten seconds later the mid is 0.47: 0.3 lost. 5 NO at 0.49
    # are short of YES: 0.15 gained.
    before = MarketMakingState(mid=0.5, mid_ms=1_000)
    fill = Fill(
        trade_id="t", order_id="a", venue_order_id="v", instrument_id=YES.id, side="BUY",
        price=490_000, size=10_000_000, fee=0, fee_currency="USDC", maker=True, venue_ms=0,
    )  # fmt: skip
    other = replace(fill, trade_id="u", instrument_id=NO.id, size=5_000_000)
    later = view(
        now_ms=11_000,
        books={YES.id: book(YES, [(460_000, 10_000_000)], [(480_000, 10_000_000)])},
    )

    one, _ = MAKER.on(BINARY, before, FillEvent(fill, "bid"), view())
    early, _ = quotes(BINARY, one, replace(later, now_ms=10_999))
    assert (early.markout, early.judged) == (0, 0)
    lost, _ = quotes(BINARY, one, later)
    assert (lost.markout, lost.judged, lost.awaiting) == (-300_000, 1, ())
    # A tenth of 0.03 counts in the fading mean, and widens the quotes by as much.
    assert lost.adverse == pytest.approx(-0.003)
    said = MAKER.explain(BINARY, lost, later)
    assert "wider because fills lose 0.003 within 10 s" in said["bid"]
    assert said["profit"] == (
        "1 fills: spread 0.1, fees 0; of 1 the mid has moved for -0.3 within 10 s"
    )

    both, _ = MAKER.on(BINARY, one, FillEvent(other, "complement"), view())
    judged, _ = quotes(BINARY, both, later)
    assert judged.markout == -300_000 + 150_000
    # A fill that is undone is judged no more.
    undone, _ = MAKER.on(BINARY, both, FillEvent(replace(fill, undone=True), "bid"), view())
    judged, _ = quotes(BINARY, undone, later)
    assert judged.markout == 150_000
