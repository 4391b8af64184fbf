"""Triggers fire on what the size would really fetch, and never sell more than is free."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from services.guard.core.exit_size import Exit, size_exit
from services.guard.core.trigger import Judgement, Trigger
from services.guard.core.trigger import judge as judge_at
from tests.unit.guard.samples import NOW_MS, book_of, trigger_of
from tradingtools.domain.book import Book, BookStatus, Level
from tradingtools.domain.exit_price import Widening
from tradingtools.domain.money import MICROS
from tradingtools.domain.reasons import Reason
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import TriggerType

STEP = 10_000
BY_PRICE = (TriggerType.STOP_LOSS, TriggerType.TAKE_PROFIT)


def judge(trigger: Trigger, lot_micros: int, book: Book) -> Judgement:
    return judge_at(trigger, lot_micros, book, NOW_MS)


ticks = st.sampled_from([1_000, 10_000, 100_000])


@st.composite
def books(draw: st.DrawFn, least: int = 0) -> Book:
    tick = draw(ticks)
    prices = draw(st.lists(st.integers(1, MICROS // tick - 1), min_size=least, unique=True))
    bids = tuple(
        (n * tick, draw(st.integers(1, 50_000_000))) for n in sorted(prices, reverse=True)[:6]
    )
    return book_of(bids, tick=tick, minimum=draw(st.sampled_from([0, 1, 1_000_000, 5_000_000])))


amounts = st.integers(1, 100_000_000)


def fetched(bids: Sequence[Level], size: int) -> tuple[Fraction, Fraction] | None:
    """Price per share that a sale gets, one level after the other: of those sold, and of all."""
    sold, money = 0, 0
    for price, there in bids:
        part = min(there, size - sold)
        sold, money = sold + part, money + part * price
    return (Fraction(money, sold), Fraction(money, size)) if sold else None


@given(books(), st.sampled_from(BY_PRICE), st.integers(1, MICROS), st.none() | amounts, amounts)
def test_an_armed_trigger_against_a_plain_reference(
    book: Book, kind: TriggerType, price: int, size: int | None, lot: int
) -> None:
    found = fetched(book.bids, lot if size is None else min(size, lot))
    verdict = judge(trigger_of(kind, price, size), lot, book)
    if found is None:
        assert verdict is Judgement.SUSPEND
        return
    of_sold, of_all = found
    beyond = of_sold <= price if kind is TriggerType.STOP_LOSS else of_all >= price
    assert verdict is (Judgement.FIRE if beyond else Judgement.NOTHING)


@given(books(least=1), amounts)
def test_a_bid_of_exactly_the_price_fires_both_kinds(book: Book, lot: int) -> None:
    # Whatever the lot's size: rounding must not move the price.
    price = book.bids[0][0]
    one_level = structs.replace(book, bids=((price, lot),))
    for kind in BY_PRICE:
        assert judge(trigger_of(kind, price), lot, one_level) is Judgement.FIRE


@given(books(least=1), amounts, st.integers(1, MICROS))
def test_what_stops_a_loss_at_one_price_stops_it_at_any_higher(
    book: Book, lot: int, price: int
) -> None:
    if judge(trigger_of(TriggerType.STOP_LOSS, price), lot, book) is Judgement.FIRE:
        higher = trigger_of(TriggerType.STOP_LOSS, min(price * 2, MICROS))
        assert judge(higher, lot, book) is Judgement.FIRE


def test_depth_decides_not_the_best_bid() -> None:
    thin = book_of(((600_000, 1_000_000), (100_000, 9_000_000)))
    assert judge(trigger_of(price=200_000), 10_000_000, thin) is Judgement.FIRE
    assert judge(trigger_of(price=200_000), 1_000_000, thin) is Judgement.NOTHING
    profit = trigger_of(TriggerType.TAKE_PROFIT, price=600_000)
    assert judge(profit, 10_000_000, thin) is Judgement.NOTHING
    assert judge(structs.replace(profit, size_micros=1_000_000), 10_000_000, thin) is Judgement.FIRE


def test_a_few_shares_bid_for_high_up_are_no_profit_and_no_loss() -> None:
    few = book_of(((900_000, 5_000_000),))
    for size, verdict in ((100_000_000, Judgement.NOTHING), (5_000_000, Judgement.FIRE)):
        assert judge(trigger_of(TriggerType.TAKE_PROFIT, 800_000), size, few) is verdict
    assert judge(trigger_of(price=800_000), 100_000_000, few) is Judgement.NOTHING
    trailing = structs.replace(trigger_of(TriggerType.TRAILING_STOP, 800_000), callback_ppm=100_000)
    assert judge(trailing, 100_000_000, few) is Judgement.NOTHING
    assert judge(trailing, 5_000_000, few) is Judgement.RATCHET


def test_what_stops_losses_is_judged_before_a_take_profit() -> None:
    assert list(TriggerType)[:3] == ["STOP_LOSS", "TRAILING_STOP", "TAKE_PROFIT"]


@pytest.mark.parametrize("status", [s for s in BookStatus if s is not BookStatus.FRESH])
def test_a_bad_book_suspends_once_and_never_fires(status: BookStatus) -> None:
    bad = book_of(((100_000, 10_000_000),), status=status)
    assert judge(trigger_of(), 5_000_000, bad) is Judgement.SUSPEND
    suspended = trigger_of(status=TriggerStatus.SUSPENDED)
    assert judge(suspended, 5_000_000, bad) is Judgement.NOTHING


def test_a_good_book_arms_again_before_it_fires() -> None:
    good = book_of(((100_000, 10_000_000),))
    suspended = trigger_of(status=TriggerStatus.SUSPENDED)
    assert judge(suspended, 5_000_000, good) is Judgement.ARM
    armed = structs.replace(suspended, status=TriggerStatus.ARMED)
    assert judge(armed, 5_000_000, good) is Judgement.FIRE


@pytest.mark.parametrize("status", list(TriggerStatus))
def test_only_armed_and_suspended_triggers_are_moved_by_a_price(status: TriggerStatus) -> None:
    verdict = judge(trigger_of(status=status), 5_000_000, book_of(((100_000, 10_000_000),)))
    expected = {
        TriggerStatus.ARMED: Judgement.FIRE,
        TriggerStatus.SUSPENDED: Judgement.ARM,
    }
    assert verdict is expected.get(status, Judgement.NOTHING)


def test_an_empty_lot_is_left_alone_and_a_payout_resolves() -> None:
    bids = ((100_000, 10_000_000),)
    assert judge(trigger_of(), 0, book_of(bids)) is Judgement.NOTHING
    assert judge(trigger_of(), 0, book_of(bids, payout=0)) is Judgement.RESOLVE


@given(books(least=1), amounts, st.integers(0, 100_000_000), st.integers(0, MICROS), st.data())
def test_an_exit_is_within_what_is_free_and_within_range(
    book: Book, desired: int, free: int, floor_ppm: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, 20))
    found = size_exit(
        book,
        desired_micros=desired,
        free_micros=free,
        below_ppm=Widening(floor_ppm).below_ppm(number),
    )
    minimum = max(book.market.min_size_micros, STEP)
    if not isinstance(found, Exit):
        assert found is (Reason.DUST if free else Reason.ALREADY_SELLING)
        assert free < minimum + STEP
        return
    tick = book.market.tick_micros
    assert minimum - STEP < found.size_micros <= free
    assert found.size_micros >= book.market.min_size_micros
    assert found.size_micros > 0
    assert found.size_micros % STEP == 0
    assert tick <= found.limit_micros <= MICROS - tick
    assert found.limit_micros % tick == 0
    # What stays behind can be sold later, or there was nothing more to sell.
    rest = free - found.size_micros
    assert rest >= book.market.min_size_micros or rest < STEP
    # Never above the lowest bid that the size needs, never further below it than the slice may.
    left, needed = found.size_micros, book.bids[-1][0]
    for price, there in book.bids:
        needed, left = price, left - there
        if left <= 0:
            break
    below = min(floor_ppm * 2**number, MICROS)
    assert found.limit_micros <= needed
    assert found.limit_micros * MICROS >= needed * (MICROS - below) - MICROS


@given(books(least=1), amounts, amounts, st.integers(0, 200_000), st.integers(0, 10))
def test_each_slice_asks_for_no_more_than_the_one_before(
    book: Book, desired: int, free: int, floor_ppm: int, number: int
) -> None:
    def limit(tried: int) -> int | None:
        found = size_exit(
            book,
            desired_micros=desired,
            free_micros=free,
            below_ppm=Widening(floor_ppm).below_ppm(tried),
        )
        return found.limit_micros if isinstance(found, Exit) else None

    now, later = limit(number), limit(number + 1)
    assume(now is not None and later is not None)
    assert now is not None
    assert later is not None
    assert later <= now


@pytest.mark.parametrize(
    ("desired", "free", "size"),
    [
        (6_000_000, 20_000_000, 6_000_000),
        # Below the minimum is raised to it.
        (1_000_000, 20_000_000, 5_000_000),
        # Four shares could never be sold alone.
        (6_000_000, 10_000_000, 10_000_000),
        (6_000_000, 11_000_000, 6_000_000),
        (9_000_000, 7_000_000, 7_000_000),
    ],
)
def test_nothing_unsellable_is_left_over(desired: int, free: int, size: int) -> None:
    deep = book_of(((500_000, 10**12),))
    found = size_exit(deep, desired_micros=desired, free_micros=free, below_ppm=0)
    assert found == Exit(size, 500_000)


@pytest.mark.parametrize(
    ("tried", "limit"), [(0, 450_000), (1, 400_000), (2, 300_000), (9, 10_000)]
)
def test_each_slice_widens_down_to_a_tick(tried: int, limit: int) -> None:
    deep = book_of(((500_000, 10**12),))
    below = Widening(100_000).below_ppm(tried)
    found = size_exit(deep, desired_micros=10**7, free_micros=10**7, below_ppm=below)
    assert found == Exit(10**7, limit)


def test_without_bids_nothing_is_sold() -> None:
    found = size_exit(book_of(()), desired_micros=10**7, free_micros=10**7, below_ppm=0)
    assert found is Reason.THIN_BOOK
