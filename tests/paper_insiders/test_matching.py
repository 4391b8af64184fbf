"""Matching and fees by property: whatever the book, no one gets what is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper.insiders.core.amounts import ONE, format_amount, parse_amount
from paper.insiders.core.fees import RATES, fee_rate, highest_fee, taker_fee
from paper.insiders.core.matching import Match, Take, match, movement, reservation
from paper.insiders.core.model import Level, MarketBook, OrderRequest, OrderType, Side

CENT = 10_000
sizes = st.integers(1, 2_000 * ONE)
prices = st.integers(1, 99).map(lambda cents: cents * CENT)


def request(side: Side, size: int, limit: int, order_type: OrderType = "FAK") -> OrderRequest:
    return OrderRequest(
        side=side,
        user_id="u",
        wallet_id="w",
        proxy="0x" + "1" * 40,
        condition_id="0x" + "2" * 64,
        asset_id="1",
        size=size,
        limit_price=limit,
        order_type=order_type,
        not_after_ms=None,
    )


@st.composite
def books(draw: st.DrawFn) -> MarketBook:
    def levels(*, best_high: bool) -> tuple[Level, ...]:
        some = draw(st.dictionaries(prices, sizes, max_size=6))
        ordered = sorted(some.items(), reverse=best_high)
        return tuple(Level(price=price, size=size) for price, size in ordered)

    return MarketBook(
        asset_id="1",
        tick=CENT,
        min_size=ONE,
        category=draw(st.sampled_from(sorted(RATES))),
        bids=levels(best_high=True),
        asks=levels(best_high=False),
    )


requests = st.builds(
    request,
    st.sampled_from(["BUY", "SELL"]),
    sizes,
    prices,
    st.sampled_from(["FAK", "FOK"]),
)


def exact_fee(size: int, price: int, rate: int) -> int:
    """The published formula over decimals, rounded up at five of them."""
    c, p, r = Decimal(size) / ONE, Decimal(price) / ONE, Decimal(rate) / ONE
    fee = (c * r * p * (1 - p)).quantize(Decimal("0.00001"), ROUND_CEILING)
    return int(fee * ONE)


def run_match(requested: OrderRequest, book: MarketBook, taken: Mapping[int, Take]) -> Match:
    return match(requested, book, taken, budget=reservation(requested, book) + 20 * len(book.asks))


@given(requests, books())
def test_fills_keep_to_limit_book_and_size(requested: OrderRequest, book: MarketBook) -> None:
    fills = run_match(requested, book, {}).fills
    levels = book.asks if requested.side == "BUY" else book.bids
    there = {level.price: level.size for level in levels}
    for fill in fills:
        assert fill.size <= there[fill.price]
        if requested.side == "BUY":
            assert fill.price <= requested.limit_price
        else:
            assert fill.price >= requested.limit_price
    assert len({fill.price for fill in fills}) == len(fills)
    total = sum(fill.size for fill in fills)
    within = [level for level in levels if _within(requested, level.price)]
    depth = sum(level.size for level in within)
    if requested.order_type == "FOK":
        assert total == (requested.size if depth >= requested.size else 0)
    else:
        assert total == min(requested.size, depth)
    # Best first: no level is touched while a better one has shares left.
    for better, fill in zip(within, fills, strict=False):
        assert fill.price == better.price
    assert all(fill.size == there[fill.price] for fill in fills[:-1])


def _within(requested: OrderRequest, price: int) -> bool:
    return (
        price <= requested.limit_price
        if requested.side == "BUY"
        else price >= requested.limit_price
    )


@given(requests, books())
def test_money_of_each_fill_is_rounded_against_the_follower(
    requested: OrderRequest, book: MarketBook
) -> None:
    for fill in run_match(requested, book, {}).fills:
        exact = Decimal(fill.size) * Decimal(fill.price) / ONE
        rounding = ROUND_CEILING if requested.side == "BUY" else ROUND_FLOOR
        assert fill.notional == int(exact.to_integral_value(rounding))
        fee = exact_fee(fill.size, fill.price, fee_rate(book))
        assert fill.fee == (fee if requested.side == "BUY" else min(fee, fill.notional))


@given(requests, books())
def test_the_reservation_covers_the_cost(requested: OrderRequest, book: MarketBook) -> None:
    budget = reservation(requested, book)
    fills = match(requested, book, {}, budget=budget).fills
    if requested.side == "BUY":
        assert -sum(movement("BUY", fill)[0] for fill in fills) <= budget
    else:
        assert sum(fill.size for fill in fills) <= budget
        assert all(movement("SELL", fill)[0] >= 0 for fill in fills)


@given(st.lists(requests, min_size=1, max_size=8), books())
def test_orders_together_never_take_a_share_twice(
    requested: list[OrderRequest], book: MarketBook
) -> None:
    taken: dict[Side, dict[int, Take]] = {"BUY": {}, "SELL": {}}
    got: dict[tuple[Side, int], int] = {}
    for one in requested:
        result = run_match(one, book, taken[one.side])
        taken[one.side] = result.taken
        for fill in result.fills:
            got[one.side, fill.price] = got.get((one.side, fill.price), 0) + fill.size
    for level in book.asks:
        assert got.get(("BUY", level.price), 0) <= level.size
    for level in book.bids:
        assert got.get(("SELL", level.price), 0) <= level.size


@pytest.mark.parametrize(
    ("changed", "filled"),
    [
        (Level(price=50 * CENT, size=10 * ONE), 0),
        (Level(price=50 * CENT, size=9 * ONE), 9 * ONE),
        (Level(price=50 * CENT, size=10 * ONE, changed_ms=7), 10 * ONE),
    ],
)
def test_taken_shares_come_back_when_the_level_changes(changed: Level, filled: int) -> None:
    level = Level(price=50 * CENT, size=10 * ONE, changed_ms=6 if changed.changed_ms else 0)
    book = MarketBook(asset_id="1", tick=CENT, min_size=ONE, asks=(level,))
    first = run_match(request("BUY", 10 * ONE, 50 * CENT), book, {})
    again = replace(book, asks=(changed,))
    second = run_match(request("BUY", 10 * ONE, 50 * CENT), again, first.taken)
    assert sum(fill.size for fill in second.fills) == filled


def test_published_fees_of_a_hundred_shares_at_half() -> None:
    at_half = {name: taker_fee(size=100 * ONE, price=ONE // 2, rate=RATES[name]) for name in RATES}
    assert at_half["crypto"] == 1_750_000
    assert at_half["sports"] == 1_250_000
    assert at_half["politics"] == 1_000_000
    assert at_half["geopolitics"] == 0


@given(sizes, prices, prices)
def test_the_highest_fee_bounds_every_price_up_to_the_limit(size: int, one: int, two: int) -> None:
    price, limit = min(one, two), max(one, two)
    bound = highest_fee(size=size, limit_price=limit, rate=70_000)
    assert taker_fee(size=size, price=price, rate=70_000) <= bound


@given(st.integers(0, 10**18 - 1))
def test_amounts_survive_the_wire(micros: int) -> None:
    assert parse_amount(format_amount(micros)) == micros


@pytest.mark.parametrize(
    "text", ["", "1.", ".5", "01", "+1", "-1", "1e3", "1.0000001", " 1", "NaN", "\u0661", 1, None]
)
def test_anything_else_is_no_amount(text: object) -> None:
    with pytest.raises(ValueError, match="decimal string"):
        parse_amount(text)
