"""Sizing against the formulas of the documentation, computed again in exact fractions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.router.core.caps import Exposure, Skip
from services.router.core.exit_sizing import desired_exit, owned_of_part, size_exit
from services.router.core.fees import reserved_money
from services.router.core.sizing import Sized, SizingInput, limit_price, size_entry
from tests.unit.samples import book, subscription
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.copy_settings import CopySettings, ExitBelowMinimum, ExitMode
from tradingtools.domain.exit_price import Widening, pause_ms, pause_without_balance_ms
from tradingtools.domain.money import MICROS
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import SizingMode, Subscription

STEP = 10_000
ticks = st.sampled_from([100, 1_000, 10_000, 100_000])
prices = st.integers(1, 1_100_000)
slippages = st.none() | st.sampled_from([0, 1, 10_000, 30_000, 500_000, MICROS])
money = st.integers(0, 200_000_000)
limits = st.none() | st.just(0) | money


@st.composite
def subscriptions(draw: st.DrawFn) -> Subscription:
    mode = draw(st.sampled_from([SizingMode.FIXED, SizingMode.RATIO]))
    return replace(
        subscription(),
        sizing_mode=mode,
        sizing_micros=draw(money if mode is SizingMode.FIXED else st.integers(0, 3 * MICROS)),
        max_per_trade_micros=draw(limits),
        max_per_market_micros=draw(limits),
        max_slippage_micros=draw(slippages),
    )


@st.composite
def books(draw: st.DrawFn) -> Book:
    tick = draw(ticks)
    asks = draw(
        st.lists(
            st.tuples(st.integers(1, MICROS // tick - 1), st.integers(1, 300_000_000)),
            max_size=5,
            unique_by=lambda level: level[0],
        )
    )
    return book(
        asks=tuple(sorted((n * tick, size) for n, size in asks)),
        tick=tick,
        minimum=draw(st.sampled_from([0, 1, 1_000_000, 5_000_000])),
        status=draw(st.sampled_from([BookStatus.FRESH, BookStatus.FRESH, *BookStatus])),
        fee_rate=draw(st.sampled_from([0, 40_000, 70_000])),
    )


def _rooms(made: Subscription, leader: int, ordered: int, exposure: int) -> list[Fraction]:
    """USDC that each limit still leaves."""
    unit = Fraction(1, MICROS)
    rooms = [made.sizing_micros * unit]
    if made.sizing_mode is SizingMode.RATIO:
        rooms = [leader * unit * made.sizing_micros * unit]
    if made.max_per_trade_micros is not None:
        rooms.append(made.max_per_trade_micros * unit)
    rooms = [room - ordered * unit for room in rooms]
    if made.max_per_market_micros is not None:
        rooms.append((made.max_per_market_micros - exposure) * unit)
    return rooms


def _largest(money: Fraction, limit: Fraction, rate: Fraction) -> Fraction:
    """The largest size in hundredths whose cost and highest fee are within some money."""

    def cost(hundredths: int) -> Fraction:
        shares, worst = Fraction(hundredths, 100), min(limit, Fraction(1, 2))
        fee = Fraction(ceil(shares * rate * worst * (1 - worst) * 10**5), 10**5)
        return Fraction(ceil(shares * limit * MICROS), MICROS) + fee

    low, high = 0, floor(money / limit * 100) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle) <= money else (low, middle)
    return Fraction(low, 100)


def reference(
    made: Subscription,
    market: Book,
    price_micros: int,
    leader_micros: int,
    ordered_micros: int,
    exposure_micros: int,
) -> tuple[int, int] | set[Reason]:
    """(size, limit) in micros, or the reasons that may be given instead."""
    unit = Fraction(1, MICROS)
    tick, least = market.market.tick_micros * unit, market.market.min_size_micros * unit
    slippage = Fraction(3, 100)
    if made.max_slippage_micros is not None:
        slippage = made.max_slippage_micros * unit
    limit = floor(min(price_micros * unit * (1 + slippage), 1 - tick) / tick) * tick
    if limit < tick:
        return {Reason.PRICE_OUT_OF_RANGE}
    rooms = _rooms(made, leader_micros, ordered_micros, exposure_micros)
    step = Fraction(1, 100)
    size = _largest(max(min(rooms), Fraction(0)), limit, market.market.fee_rate_micros * unit)
    if size < max(least, step):
        return {Reason.BELOW_MINIMUM, Reason.CAP_PER_TRADE, Reason.CAP_PER_MARKET, Reason.NONE}
    if market.status in (BookStatus.FRESH, BookStatus.EMPTY):
        there = sum(s * unit for p, s in market.asks if p * unit <= limit)
        if not there:
            return {Reason.SLIPPAGE}
        size = min(size, floor(there / step) * step) if there >= size / 2 else Fraction(0)
        if size < max(least, step):
            return {Reason.THIN_BOOK}
    return int(size * MICROS), int(limit * MICROS)


inputs = (subscriptions(), books(), prices, money, limits.map(lambda v: v or 0), money)


@given(*inputs)
def test_an_entry_is_what_the_formulas_say(
    made: Subscription, market: Book, price: int, leader: int, ordered: int, exposure: int
) -> None:
    found = size_entry(
        made,
        market,
        SizingInput(price_micros=price, leader_micros=leader, ordered_micros=ordered),
        Exposure(market_micros=exposure),
    )
    expected = reference(made, market, price, leader, ordered, exposure)
    if isinstance(expected, set):
        assert isinstance(found, Skip)
        assert found.reason in expected
        # Nothing is skipped in silence, unless all of it was ordered before.
        assert found.reason or ordered
        return
    assert isinstance(found, Sized)
    assert (found.size_micros, found.limit_micros) == expected


@given(*inputs)
def test_an_entry_stays_within_every_limit(
    made: Subscription, market: Book, price: int, leader: int, ordered: int, exposure: int
) -> None:
    found = size_entry(
        made,
        market,
        SizingInput(price_micros=price, leader_micros=leader, ordered_micros=ordered),
        Exposure(market_micros=exposure),
    )
    if isinstance(found, Skip):
        return
    tick = market.market.tick_micros
    cost = reserved_money(found.size_micros, found.limit_micros, market.market.fee_rate_micros)
    if made.max_per_trade_micros is not None:
        assert ordered + cost <= made.max_per_trade_micros
    if made.max_per_market_micros is not None:
        assert exposure + cost <= made.max_per_market_micros
    if made.sizing_mode is SizingMode.FIXED:
        assert ordered + cost <= made.sizing_micros
    assert found.limit_micros * MICROS <= price * (MICROS + made.slippage_micros)
    assert found.limit_micros % tick == 0
    assert tick <= found.limit_micros <= MICROS - tick
    assert found.size_micros % STEP == 0
    assert found.size_micros >= max(market.market.min_size_micros, STEP)


@given(*inputs, money)
def test_more_money_never_buys_less(
    made: Subscription,
    market: Book,
    price: int,
    leader: int,
    ordered: int,
    exposure: int,
    more: int,
) -> None:
    # Of an endless book: in a thin one a larger copy may be skipped for its depth.
    deep = structs.replace(market, asks=((market.market.tick_micros, 10**15),))

    def size(sizing: int) -> int:
        found = size_entry(
            replace(made, sizing_micros=sizing),
            deep,
            SizingInput(price_micros=price, leader_micros=leader, ordered_micros=ordered),
            Exposure(market_micros=exposure),
        )
        return found.size_micros if isinstance(found, Sized) else 0

    assert size(made.sizing_micros) <= size(made.sizing_micros + more)


def entry(made: Subscription, market: Book | None = None, **changes: int) -> Sized | Skip:
    sizing_input = structs.replace(
        SizingInput(price_micros=500_000, leader_micros=100_000_000), **changes
    )
    return size_entry(made, market or book(), sizing_input, Exposure())


def test_an_absent_limit_does_not_limit_and_zero_allows_nothing() -> None:
    free = subscription()
    assert isinstance(entry(free), Sized)
    for name, reason in (
        ("max_per_trade_micros", Reason.CAP_PER_TRADE),
        ("max_per_market_micros", Reason.CAP_PER_MARKET),
    ):
        found = entry(replace(free, **{name: 0}))  # type: ignore[arg-type]
        assert isinstance(found, Skip)
        assert found.reason is reason


def test_slippage_of_zero_is_not_the_default() -> None:
    none, zero = entry(subscription()), entry(replace(subscription(), max_slippage_micros=0))
    assert isinstance(none, Sized)
    assert isinstance(zero, Sized)
    assert (none.limit_micros, zero.limit_micros) == (510_000, 500_000)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("max_per_trade_micros", Reason.CAP_PER_TRADE),
        ("max_per_market_micros", Reason.CAP_PER_MARKET),
    ],
)
def test_a_copy_that_a_limit_made_smaller_says_so(name: str, reason: Reason) -> None:
    found = entry(replace(subscription(), **{name: 5_000_000}))  # type: ignore[arg-type]
    assert isinstance(found, Sized)
    assert found.shortfall is reason
    assert "5" in found.detail


def test_a_limit_that_does_not_bind_is_no_shortfall() -> None:
    made = replace(
        subscription(), max_per_trade_micros=10_000_000, max_per_market_micros=10_000_000
    )
    found = entry(made)
    assert isinstance(found, Sized)
    assert (found.shortfall, found.detail) == (Reason.NONE, "")


def test_a_thin_book_cuts_and_says_so_or_skips() -> None:
    cut = entry(subscription(), book(asks=((500_000, 15_000_000), (520_000, 10**12))))
    assert isinstance(cut, Sized)
    assert (cut.size_micros, cut.shortfall) == (15_000_000, Reason.THIN_BOOK)
    half = entry(subscription(), book(asks=((500_000, 9_000_000), (520_000, 10**12))))
    assert isinstance(half, Skip)
    assert half.reason is Reason.THIN_BOOK


@pytest.mark.parametrize(
    ("status", "least", "reason"),
    [
        (BookStatus.STALE, None, Reason.NONE),
        (BookStatus.CROSSED, 0, Reason.NONE),
        (BookStatus.STALE, 1, Reason.BOOK_STALE),
        (BookStatus.CROSSED, MICROS, Reason.BOOK_STALE),
        # There is nothing: a price and a limit find no counterpart.
        (BookStatus.EMPTY, None, Reason.SLIPPAGE),
    ],
)
def test_book_without_depth_serves_those_who_need_none(
    status: BookStatus, least: int | None, reason: Reason
) -> None:
    made = replace(subscription(), settings=CopySettings(min_depth_micros=least))
    found = entry(made, book(asks=(), bids=(), status=status))
    assert (found.shortfall if isinstance(found, Sized) else found.reason) is reason


def test_what_was_ordered_whole_is_not_a_shortfall() -> None:
    found = entry(subscription(), ordered_micros=9_999_000)
    assert found == Skip(Reason.NONE, "")


def test_market_without_a_minimum_gets_no_empty_order() -> None:
    tiny = replace(subscription(), sizing_micros=100)
    found = entry(tiny, book(minimum=0))
    assert isinstance(found, Skip)
    assert found.reason is Reason.BELOW_MINIMUM


@given(prices, st.integers(0, MICROS), ticks)
def test_a_limit_is_the_best_tick_within_the_slippage(price: int, slippage: int, tick: int) -> None:
    found = limit_price(price, slippage, tick)
    edge = min(price * (1 + Fraction(slippage, MICROS)), Fraction(MICROS - tick))
    expected = floor(edge / tick) * tick
    # Below a tick it is refused, not clamped.
    assert found == (expected if expected >= tick else None)


amounts = st.integers(1, 10**9)


@given(amounts, amounts, st.none() | st.integers(0, 10**9))
def test_an_exit_is_in_proportion_and_rounds_towards_leaving(
    owned: int, sold: int, held: int | None
) -> None:
    desired = desired_exit(
        owned_micros=owned, leader_sold_micros=sold, leader_held_before_micros=held
    )
    if held is None or sold >= held:
        assert desired == owned
        return
    exact = Fraction(owned * sold, held)
    assert exact <= desired < exact + 1
    assert desired <= owned


@given(amounts, amounts, st.none() | st.integers(0, 10**9), st.sampled_from(ExitMode))
def test_of_no_more_shares_a_sell_asks_for_no_more_than_the_part(
    part: int, sold: int, held: int | None, mode: ExitMode
) -> None:
    def desired(owned: int) -> int:
        return desired_exit(
            owned_micros=owned, leader_sold_micros=sold, leader_held_before_micros=held, mode=mode
        )

    owned = owned_of_part(
        part_micros=part, leader_sold_micros=sold, leader_held_before_micros=held, mode=mode
    )
    assert desired(owned) <= part < desired(owned + 1)


def leaving(slippage: int | None) -> Subscription:
    """A follower whose exits keep within so much of the leader's price."""
    return replace(subscription(), settings=CopySettings(exit_max_slippage_micros=slippage))


@given(
    books(), prices, amounts, st.integers(0, 10**9), st.integers(0, 20), slippages, st.booleans()
)
def test_a_slice_is_within_what_is_free(
    market: Book,
    price: int,
    desired: int,
    free: int,
    before: int,
    slippage: int | None,
    whole: bool,
) -> None:
    found = size_exit(
        leaving(slippage),
        market,
        price_micros=price,
        desired_micros=desired,
        free_micros=free,
        below_ppm=Widening().below_ppm(before),
        whole=whole,
    )
    least = max(market.market.min_size_micros, STEP)
    if isinstance(found, Skip):
        assert (found.reason is Reason.ALREADY_SELLING) == (free == 0)
        if found.reason is Reason.ACCUMULATING:
            assert desired < least
            assert (whole, found.small_micros) == (False, desired)
        elif free:
            assert found.reason is Reason.DUST
            assert min(free, free if whole else desired) < least + STEP
        return
    assert least <= found.size_micros <= free
    assert found.size_micros % STEP == 0
    rest, missing = free - found.size_micros, desired - found.size_micros
    if whole:
        assert rest >= least or rest < STEP
        # More than wanted only up to the minimum, or to leave nothing unsellable behind.
        assert found.size_micros <= max(desired, least) or rest < STEP
    else:
        assert missing >= 0
        # What can be sold later stays, where that leaves an order now, and no more stays for it.
        assert rest >= least or free < 2 * least + STEP or rest < STEP
        assert found.small_micros == 0 or rest < least + STEP
    # Less than wanted only for that or when others have the rest, and then it says so.
    assert (found.shortfall is not Reason.NONE) == (missing >= STEP)
    assert found.small_micros in (0, missing)
    tick = market.market.tick_micros
    assert tick <= found.limit_micros <= MICROS - tick
    assert found.limit_micros % tick == 0


def limit_after(tried: int, market: Book, slippage: int | None = None, price: int = 500_000) -> int:
    found = size_exit(
        leaving(slippage),
        market,
        price_micros=price,
        desired_micros=10**7,
        free_micros=10**7,
        below_ppm=Widening().below_ppm(tried),
        whole=True,
    )
    assert isinstance(found, Sized)
    return found.limit_micros


@pytest.mark.parametrize("entries", [0, 2_000, 30_000])
def test_exit_goes_to_any_price_whatever_entries_cost(entries: int) -> None:
    made = replace(subscription(), max_slippage_micros=entries)
    blind = book(bids=(), status=BookStatus.STALE)
    found = [
        size_exit(made, blind, price_micros=500_000, desired_micros=10**7, free_micros=10**7,
                  below_ppm=Widening().below_ppm(tried), whole=True)
        for tried in range(7)
    ]  # fmt: skip
    limits = [one.limit_micros for one in found if isinstance(one, Sized)]
    assert limits == [480_000, 450_000, 400_000, 300_000, 100_000, 10_000, 10_000]
    # So many slices, and the pauses between them, are seconds.
    assert sum(pause_ms(slices, 30_000) for slices in range(1, 6)) < 10_000


def test_when_the_price_has_halved_the_first_slice_finds_it() -> None:
    halved = book(bids=((250_000, 10**12),))
    assert limit_after(0, halved) == 240_000
    # A book that is not told is not believed.
    assert limit_after(0, structs.replace(halved, status=BookStatus.STALE)) == 480_000


@pytest.mark.parametrize(("slippage", "limits"), [(0, {500_000}), (100_000, {480_000, 450_000})])
def test_exit_floor_is_kept_where_it_is_set(slippage: int, limits: set[int]) -> None:
    blind = book(bids=(), status=BookStatus.STALE)
    assert {limit_after(tried, blind, slippage) for tried in range(9)} == limits
    assert limit_after(9, book(bids=((100_000, 10**12),)), slippage) == min(limits)


@given(books(), prices, st.integers(0, 10), slippages)
def test_each_slice_asks_for_no_more(
    market: Book, price: int, before: int, slippage: int | None
) -> None:
    found = [
        size_exit(leaving(slippage), market, price_micros=price, desired_micros=10**9,
                  free_micros=10**9, below_ppm=Widening().below_ppm(tried), whole=True)
        for tried in (before, before + 1)
    ]  # fmt: skip
    now, later = (one.limit_micros for one in found if isinstance(one, Sized))
    assert later <= now
    if slippage is not None:
        tick = market.market.tick_micros
        assert later >= min(price * (1 - Fraction(slippage, MICROS)), Fraction(MICROS - tick))


@pytest.mark.parametrize(
    ("policy", "desired", "free", "found"),
    [
        # Three of twenty shares, of which five can be sold.
        (ExitBelowMinimum.ACCUMULATE, 3, 20, (Reason.ACCUMULATING, 0, 3)),
        (ExitBelowMinimum.WAIT, 3, 20, (Reason.BELOW_MINIMUM, 0, 0)),
        (ExitBelowMinimum.ROUND_UP, 3, 20, (Reason.NONE, 5, 0)),
        # Eight of twelve: four could never be sold.
        (ExitBelowMinimum.ACCUMULATE, 8, 12, (Reason.ACCUMULATING, 7, 1)),
        (ExitBelowMinimum.ROUND_UP, 8, 12, (Reason.NONE, 12, 0)),
        # Six of eight: there are no two orders in them.
        (ExitBelowMinimum.ACCUMULATE, 6, 8, (Reason.NONE, 6, 0)),
        (ExitBelowMinimum.WAIT, 6, 8, (Reason.NONE, 6, 0)),
    ],
)
def test_an_exit_of_a_part_is_not_raised_but_by_choice(
    policy: ExitBelowMinimum, desired: int, free: int, found: tuple[Reason, int, int]
) -> None:
    settings = CopySettings(exit_below_minimum=policy)
    verdict = size_exit(
        replace(subscription(), settings=settings), book(), price_micros=500_000,
        desired_micros=desired * 10**6, free_micros=free * 10**6, below_ppm=0, whole=False,
    )  # fmt: skip
    size = verdict.size_micros if isinstance(verdict, Sized) else 0
    reason = verdict.shortfall if isinstance(verdict, Sized) else verdict.reason
    assert (reason, size // 10**6, verdict.small_micros // 10**6) == found


def test_an_exit_is_never_skipped_for_depth_or_a_bad_book() -> None:
    for status in BookStatus:
        empty = book(bids=(), status=status)
        found = size_exit(
            subscription(),
            empty,
            price_micros=500_000,
            desired_micros=10**7,
            free_micros=10**7,
            below_ppm=50_000,
            whole=True,
        )
        assert isinstance(found, Sized)
        assert found.size_micros == 10**7


def test_exit_of_missing_shares_waits_for_one_look() -> None:
    pauses = [pause_without_balance_ms(n) // 1000 for n in range(1, 10)]
    assert pauses == [8, 8, 8, 8, 16, 16, 16, 16, 16]
