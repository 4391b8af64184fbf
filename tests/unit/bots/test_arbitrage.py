"""Arbitrage of complete sets, against sizes and prices computed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from services.bots.core.holding import Holding
from services.bots.core.strategy import (
    BookEvent,
    EndEvent,
    Intent,
    Quote,
    TimerEvent,
    View,
    WorkingOrder,
)
from services.bots.strategies.arbitrage import Arbitrage
from services.bots.strategies.pair import FIRST, RETRY_MS, SECOND, PairState, TrancheState
from services.bots.strategies.registry import snapshot, state
from tests.unit.bots.samples import book, outcome
from tradingtools.domain.book import BookStatus
from tradingtools.domain.strategies import ArbitrageConfig, ConfigError, config
from tradingtools.venues.trading import RestingTime

YES, NO = outcome("yes"), outcome("no")
ONE = 1_000_000
CONFIG = ArbitrageConfig(
    instrument_id=YES.id,
    complement_id=NO.id,
    order_size=100 * ONE,
    max_sets=200 * ONE,
    min_edge=10_000,
    taker_fee=10_000,
    max_loss=10 * ONE,
    max_slippage=0,
)
SETS = Arbitrage()
NOW = 50_000
BOOKS = {
    YES.id: book(YES, [(430_000, 90 * ONE)], [(450_000, 10 * ONE), (470_000, 20 * ONE)]),
    NO.id: book(NO, [(480_000, 90 * ONE)], [(500_000, 15 * ONE), (520_000, 20 * ONE)]),
}


def view(yes: int = 0, no: int = 0, **changes: Any) -> View:
    one = View(
        now_ms=NOW,
        instruments={YES.id: YES, NO.id: NO},
        books=BOOKS,
        holdings={
            YES.id: Holding(size=yes, cost=yes * 45 // 100),
            NO.id: Holding(size=no, cost=no * 50 // 100),
        },
    )
    return replace(one, **changes)


def flying(slot: str) -> dict[str, WorkingOrder]:
    name = YES.id if slot == FIRST else NO.id
    return {
        slot: WorkingOrder(
            slot=slot, order_id="a", instrument_id=name, side="BUY", price=500_000, size=15 * ONE,
            filled=0, certain=False,
        )
    }  # fmt: skip


def decided(
    seen: View, before: TrancheState | None = None, settings: ArbitrageConfig = CONFIG
) -> tuple[TrancheState, dict[str, tuple[str, int, int]]]:
    after, intents = SETS.on(settings, before or TrancheState(), BookEvent(YES.id), seen)
    return after, orders(intents)


def orders(intents: tuple[Intent, ...]) -> dict[str, tuple[str, int, int]]:
    found = [one for one in intents if isinstance(one, Quote)]
    assert all(one.time_in_force is RestingTime.IOC for one in found)
    return {one.slot: (one.side, one.price, one.size) for one in found}


def test_both_ladders_are_walked_while_a_set_has_its_gain() -> None:
    # 10 sets at 0.45 + 0.50: fees of 1 % are 0.0095, the gain is 0.0405. 5 more at 0.47 + 0.50:
    # 0.0203. At 0.47 + 0.52 the gain is 0.0001, and 0.01 is wanted.
    _, found = decided(view())

    assert found == {FIRST: ("BUY", 470_000, 15 * ONE), SECOND: ("BUY", 500_000, 15 * ONE)}
    assert SETS.explain(CONFIG, TrancheState(), view())["sets"] == (
        "a set costs 0.95 and fees of 0.0095: a gain of 0.0405; "
        "a set brings 0.91 and fees of 0.0091: a gain of -0.0991; "
        "at least 0.01 is wanted; 0 of 200 sets are held"
    )


def test_a_tranche_is_bounded_by_sets_held_and_by_the_loss_of_one_leg() -> None:
    # 190 of 200 sets are held. A YES at 0.47, sold again at 0.43, loses 0.04 and fees of 0.0047 +
    # 0.0043 = 0.049: 0.6 lose 0.049 * 15 = 0.735 at most, so 15 * 0.6 / 0.735 = 12.24 sets.
    _, full = decided(view(190 * ONE, 190 * ONE))
    _, bound = decided(view(), settings=replace(CONFIG, max_loss=600_000))

    assert full[FIRST] == ("BUY", 450_000, 10 * ONE)
    assert bound[FIRST] == ("BUY", 470_000, 12_240_000)


@pytest.mark.parametrize(
    "books",
    [
        {YES.id: BOOKS[YES.id]},
        BOOKS | {NO.id: book(NO, [], [(500_000, 15 * ONE)], status=BookStatus.STALE)},
        BOOKS | {NO.id: book(NO, [(480_000, ONE)], [(540_000, 15 * ONE)])},
    ],
    ids=["none", "stale", "dear"],
)
def test_nothing_is_bought_without_a_gain_at_fresh_books(books: dict[str, Any]) -> None:
    assert decided(view(books=books))[1] == {}


def test_a_leg_that_got_less_is_hedged_within_the_bound() -> None:
    # 15 YES at 0.45 and 5 NO: 10 NO at 0.50 make sets that cost 0.95 each, fees off, no loss.
    after, found = decided(view(15 * ONE, 5 * ONE))

    assert found == {SECOND: ("BUY", 500_000, 10 * ONE)}
    assert after.legs.lone_since_ms == NOW
    said = SETS.explain(CONFIG, after, view(15 * ONE, 5 * ONE))
    # 10 paid 4.5 + 0.045, and 5 + 0.05 for the other leg: 10 come back.
    assert said[FIRST] == ("holds 15, of which 10 not hedged for 0 s; a hedge loses -0.405: HEDGE")
    assert said[SECOND] == "holds 5, 10 less than it should"


def test_beyond_the_bound_the_lesser_loss_is_taken() -> None:
    # At 0.70 a hedge loses 10 * (0.45 + 0.70) + fees of 0.045 + 0.07 - 10 = 1.615; flattening at
    # 0.43 loses 10 * 0.02 + 0.045 + 0.043 = 0.288. At a bid of 0.25 it would lose 2.07.
    dear = BOOKS | {NO.id: book(NO, [(480_000, ONE)], [(700_000, 90 * ONE)])}
    worse = dear | {YES.id: book(YES, [(250_000, 90 * ONE)], [(450_000, 10 * ONE)])}
    settings = replace(CONFIG, max_loss=ONE)

    _, flat = decided(view(10 * ONE, 0, books=dear), settings=settings)
    _, hedged = decided(view(10 * ONE, 0, books=worse), settings=settings)

    assert flat == {FIRST: ("SELL", 430_000, 10 * ONE)}
    assert hedged == {SECOND: ("BUY", 700_000, 10 * ONE)}


def test_after_the_deadline_the_lone_leg_is_flattened() -> None:
    lone = TrancheState(legs=PairState(lone_since_ms=NOW - CONFIG.hedge_deadline_ms))
    almost = TrancheState(legs=PairState(lone_since_ms=NOW - CONFIG.hedge_deadline_ms + 1))

    assert decided(view(10 * ONE), lone)[1] == {FIRST: ("SELL", 430_000, 10 * ONE)}
    assert decided(view(10 * ONE), almost)[1] == {SECOND: ("BUY", 500_000, 10 * ONE)}


@pytest.mark.parametrize("slot", [FIRST, SECOND])
@pytest.mark.parametrize("held", [(0, 0), (10, 0), (0, 10), (10, 10)])
def test_nothing_is_sent_while_an_order_may_fill(slot: str, held: tuple[int, int]) -> None:
    late = TrancheState(legs=PairState(lone_since_ms=1))
    seen = view(held[0] * ONE, held[1] * ONE, standing=flying(slot))

    after, intents = SETS.on(CONFIG, late, TimerEvent(), seen)

    # What is on its way is not even named, so that it is not called back.
    assert [one.slot for one in intents if hasattr(one, "slot")] == [
        one for one in (FIRST, SECOND) if one != slot
    ]
    assert orders(intents) == {}
    assert after.legs.lone_since_ms == 1


def test_an_order_that_got_nothing_is_not_repeated_at_once() -> None:
    lone = view(10 * ONE)
    after, intents = SETS.on(CONFIG, TrancheState(), EndEvent(SECOND, "a", 0, ""), lone)
    assert orders(intents) == {}

    later = replace(lone, now_ms=NOW + RETRY_MS)
    _, intents = SETS.on(CONFIG, after, TimerEvent(), later)
    assert orders(intents) == {SECOND: ("BUY", 500_000, 10 * ONE)}


def test_sets_that_are_held_are_sold_above_one() -> None:
    # 0.53 + 0.51 less fees of 0.0104: a gain of 0.0296 a set.
    rich = {
        YES.id: book(YES, [(530_000, 8 * ONE)], [(600_000, ONE)]),
        NO.id: book(NO, [(510_000, 90 * ONE)], [(600_000, ONE)]),
    }
    after, found = decided(view(20 * ONE, 20 * ONE, books=rich))

    assert found == {FIRST: ("SELL", 530_000, 8 * ONE), SECOND: ("SELL", 510_000, 8 * ONE)}
    assert after.closing
    # A leg that was sold alone is followed by the other one.
    _, found = decided(view(12 * ONE, 20 * ONE, books=rich), after)
    assert found == {SECOND: ("SELL", 510_000, 8 * ONE)}
    # A sale that got nothing is not repeated at once.
    paused = TrancheState(legs=PairState(next_ms=NOW + 1))
    assert decided(view(20 * ONE, 20 * ONE, books=rich), paused)[1] == {}
    kept = replace(CONFIG, sell_sets=False)
    assert decided(view(20 * ONE, 20 * ONE, books=rich), settings=kept)[1] == {}


def test_a_remainder_below_the_smallest_order_is_let_be() -> None:
    # 15 and 11: no order of 4 is taken. The next tranche goes on.
    after, found = decided(view(15 * ONE, 11 * ONE))

    assert after.legs.lone_since_ms == 0
    assert found[FIRST] == ("BUY", 470_000, 15 * ONE)


def test_settings_are_checked_and_a_snapshot_is_the_state() -> None:
    with pytest.raises(ConfigError, match="complement_id"):
        config("arbitrage", msgspec.to_builtins(replace(CONFIG, complement_id=YES.id)))
    with pytest.raises(ConfigError, match="max_sets"):
        config("arbitrage", msgspec.to_builtins(replace(CONFIG, max_sets=1)))
    one = TrancheState(legs=PairState(lone_since_ms=3, next_ms=4), closing=True)
    assert state("arbitrage", msgspec.json.decode(snapshot(one))) == one
