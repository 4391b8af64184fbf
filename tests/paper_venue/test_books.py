from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper.venue import tape
from paper.venue.core import amounts, rng
from paper.venue.core.books import (
    Anchor,
    Book,
    Level,
    applied,
    book,
    changes,
    digest,
    mirrored,
    mirrored_change,
    trade_anchor,
)
from paper.venue.core.markets import FINE, from_tape
from paper.venue.core.trade import Side
from paper.venue.live_books import checked_pin

KEYS = st.integers(0, (1 << 64) - 1)
TICKS = st.sampled_from((10_000, 1_000))
TIMES = st.integers(1_000_000, 1_200_000)
ANCHORS = st.builds(
    Anchor,
    st.just(1_000_000),
    st.integers(1, amounts.ONE - 1),
    st.sampled_from(("BUY", "SELL")),
)


def assert_sound(of: Book) -> None:
    bids, asks = [x.price for x in of.bids], [x.price for x in of.asks]
    assert bids == sorted(set(bids))
    assert asks == sorted(set(asks), reverse=True)
    assert of.best_bid < of.best_ask
    assert all(of.tick <= p <= amounts.ONE - of.tick and p % of.tick == 0 for p in bids + asks)
    assert all(x.size > 0 and x.size % 10_000 == 0 for x in of.bids + of.asks)


@given(KEYS, ANCHORS, TICKS, TIMES)
def test_books_are_never_crossed_and_best_is_last(
    key: int, anchor: Anchor, tick: int, now: int
) -> None:
    made = book(key, anchor, tick, now)
    assert made.bids
    assert made.asks
    assert_sound(made)
    assert_sound(mirrored(made))
    assert mirrored(mirrored(made)) == made
    assert book(key, anchor, tick, now) == made


@given(KEYS, ANCHORS, TICKS, TICKS, TIMES, TIMES)
def test_changes_lead_from_one_book_to_the_next_without_crossing(
    key: int, anchor: Anchor, before: int, after: int, first: int, second: int
) -> None:
    old, new = book(key, anchor, before, first), book(key, anchor, after, second)
    made = changes(old, new)
    assert applied(old, made, after) == new
    assert applied(mirrored(old), map(mirrored_change, made), after) == mirrored(new)
    step = old
    for change in made:
        step = applied(step, [change], after)
        assert (step.best_bid, step.best_ask) == (change.best_bid, change.best_ask)
        assert step.best_bid < step.best_ask


@given(KEYS, st.integers(3, 97), st.sampled_from(("BUY", "SELL")), st.integers(0, 1_500))
def test_a_trade_finds_its_price_at_the_top_of_the_book(
    key: int, cents: int, side: Side, age: int
) -> None:
    price = cents * 10_000
    for index in (0, 1):
        anchor = trade_anchor(side, price, index, 1_000_000)
        made = book(key, anchor, 10_000, 1_000_000 + age)
        own = mirrored(made) if index else made
        assert price == (own.best_ask if side == "BUY" else own.best_bid)


def test_prices_move_enough_in_both_directions() -> None:
    rows, _ = tape.load(None)
    rises = falls = seen = 0
    for market in from_tape(rows, 1):
        if not 50_000 < market.opening < 930_000:
            continue
        key = rng.key(1, "book", market.condition)
        anchor = Anchor(0, market.opening, "BUY")
        tick = FINE if market.fine_from == 0 else 10_000
        bids = [book(key, anchor, tick, now).best_bid for now in range(0, 30_000, 500)]
        seen += 1
        rises += max(bids) >= market.opening * 105 // 100
        falls += min(bids) <= market.opening * 95 // 100
        assert max(bids) <= max(market.opening * 121 // 100, market.opening + 4 * tick)
    assert rises > seen // 3
    assert falls > seen // 2


def test_most_books_carry_an_order_of_500_usdc_and_some_are_thin() -> None:
    notionals = []
    for key in range(300):
        made = book(key * 7919, Anchor(0, 500_000, "BUY"), 10_000, 60_000)
        notionals.append(sum(x.price * x.size // amounts.ONE for x in made.asks) // amounts.ONE)
    enough = sum(notional >= 500 for notional in notionals)
    assert enough > 240
    assert any(notional < 200 for notional in notionals)


def test_the_digest_depends_on_asset_and_levels() -> None:
    one = Book((Level(1000, 10_000),), (), 1000)
    other = Book((), (Level(1000, 10_000),), 1000)
    assert digest("1", one) == digest("1", one)
    assert len({digest("1", one), digest("2", one), digest("1", other)}) == 3


@pytest.mark.parametrize(
    ("mid", "best", "levels", "reason"),
    [
        (None, None, None, "exactly one"),
        (500_000, (490_000, 510_000), None, "exactly one"),
        (0, None, None, "mid"),
        (None, (500_000, 500_000), None, "best_bid"),
        (None, (495_000, 510_000), None, "best_bid: 0.495 is not a price on the tick 0.01"),
        (None, (490_000, 1_000_000), None, "best_ask"),
        (None, None, ([Level(500_000, 0)], []), "bids: a size"),
        (None, None, ([Level(500_000, 1), Level(500_000, 2)], []), "bids: one price twice"),
        (None, None, ([Level(600_000, 1)], [Level(500_000, 1)]), "bids: the best"),
    ],
)
def test_an_unsound_pin_is_refused(
    mid: int | None,
    best: tuple[int, int] | None,
    levels: tuple[list[Level], list[Level]] | None,
    reason: str,
) -> None:
    with pytest.raises(ValueError, match=reason):
        checked_pin(tick=10_000, mid=mid, best=best, levels=levels)
