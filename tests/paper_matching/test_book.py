"""Test matching by price, time and place in the queue, against the market and one another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paper.matching.book import Book
from paper.matching.values import (
    Event,
    Kind,
    NewOrder,
    OrderRemoved,
    OrderRested,
    SelfTrade,
    Side,
    Trade,
)

ORDER = NewOrder(order_id=1, owner="ann", side="buy", kind="limit", size=10, price=100)


def book(**levels: list[tuple[int, int]]) -> Book:
    made = Book()
    made.snapshot(levels.get("bids", []), levels.get("asks", []))
    return made


def order(number: int, **changes: object) -> NewOrder:
    return replace(ORDER, order_id=number, **changes)  # type: ignore[arg-type]


def test_a_taker_sweeps_from_the_best_price_and_what_is_left_rests() -> None:
    of = book(asks=[(99, 3), (100, 4), (101, 50)])
    assert of.place(ORDER) == [
        Trade(99, 3, "buy", 1, None),
        Trade(100, 4, "buy", 1, None),
        OrderRested(1, 3, 0),
    ]
    assert of.depth("buy", 5) == [(100, 3, 1)]
    assert of.depth("sell", 5) == [(101, 50, 1)]


def test_what_was_taken_stays_taken_until_the_market_prints_it_or_the_level_empties() -> None:
    of = book(asks=[(100, 10)])
    of.place(order(1, size=6, kind="ioc"))
    of.level("sell", 100, 9)
    assert of.shown("sell", 100) == (3, 1)
    of.printed("buy", 100, 4)
    assert of.shown("sell", 100) == (7, 1)
    of.level("sell", 100, 0)
    of.level("sell", 100, 10)
    assert of.shown("sell", 100) == (10, 1)


def test_the_last_price_of_a_size_is_known_before() -> None:
    of = book(asks=[(99, 3), (100, 4)])
    assert [of.reach("sell", size) for size in (1, 3, 4, 50)] == [99, 99, 100, 100]
    assert of.reach("buy", 1) is None


def test_a_print_serves_those_before_us_first() -> None:
    of = book(bids=[(100, 5)])
    assert of.place(ORDER) == [OrderRested(1, 10, 5)]
    assert of.printed("sell", 100, 4) == []
    assert of.ahead(1) == 1
    assert of.printed("sell", 100, 4) == [Trade(100, 3, "sell", None, 1)]
    of.printed("sell", 100, 100)
    assert of.ahead(1) is None


def test_a_print_beyond_our_price_fills_us_whatever_was_before_us() -> None:
    of = book(bids=[(100, 5)])
    of.place(ORDER)
    assert of.printed("sell", 99, 7) == [Trade(100, 7, "sell", None, 1)]


def test_cancels_of_others_are_behind_us_unless_told_otherwise() -> None:
    pessimist, fair = Book(), Book(cancels="proportional")
    for of in (pessimist, fair):
        of.level("buy", 100, 40)
        of.place(ORDER)
        of.level("buy", 100, 60)
        of.level("buy", 100, 45)
    assert (pessimist.ahead(1), fair.ahead(1)) == (40, 30)
    pessimist.level("buy", 100, 12)
    assert pessimist.ahead(1) == 12


def test_a_level_that_crosses_us_fills_us_at_our_price() -> None:
    of = book(bids=[(100, 5)])
    of.place(ORDER)
    assert of.level("sell", 98, 4) == [Trade(100, 4, "sell", None, 1)]
    assert of.level("sell", 98, 20) == [
        Trade(100, 6, "sell", None, 1),
        OrderRemoved(1, 0, "filled"),
    ]
    assert of.shown("sell", 98) == (10, 1)


def test_our_orders_trade_by_price_then_time() -> None:
    of = book()
    of.place(order(1, side="sell", price=101))
    of.place(order(2, side="sell", price=100, owner="bob"))
    of.place(order(3, side="sell", price=100, owner="cid"))
    found = of.place(order(4, owner="dan", price=101, size=25))
    assert [e.maker for e in found if isinstance(e, Trade)] == [2, 3, 1]
    assert of.depth("sell", 5) == [(101, 5, 1)]


@pytest.mark.parametrize(
    ("kind", "left", "reason"), [("ioc", 7, "ioc"), ("fok", 10, "fok"), ("market", 7, "market")]
)
def test_what_does_not_rest_leaves(kind: str, left: int, reason: str) -> None:
    of = book(asks=[(100, 3)])
    found = of.place(order(1, kind=kind))
    assert found[-1] == OrderRemoved(1, left, reason)  # type: ignore[arg-type]
    assert of.depth("buy", 1) == []


def test_fill_or_kill_is_filled_whole() -> None:
    of = book(asks=[(99, 6), (100, 4)])
    assert of.place(order(1, kind="fok"))[-1] == OrderRemoved(1, 0, "filled")


def test_post_only_rests_or_leaves() -> None:
    of = book(asks=[(100, 3)])
    assert of.place(order(1, kind="post_only")) == [OrderRemoved(1, 10, "post_only")]
    assert of.place(order(2, kind="post_only", price=99)) == [OrderRested(2, 10, 0)]


def test_a_budget_bounds_a_market_order() -> None:
    of = book(asks=[(10, 3), (11, 50)])
    found = of.place(order(1, kind="market", price=None, budget=60, size=10**9))
    assert sum(e.price * e.size for e in found if isinstance(e, Trade)) == 30 + 22


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("cancel_maker", [(9, 5), OrderRemoved(1, 10, "self_trade"), (3, 3), (None, 2)]),
        ("cancel_taker", [(9, 5), OrderRemoved(2, 5, "self_trade")]),
        (
            "cancel_both",
            [(9, 5), OrderRemoved(1, 10, "self_trade"), OrderRemoved(2, 5, "self_trade")],
        ),
    ],
)
def test_nobody_trades_with_himself(how: SelfTrade, expected: list[object]) -> None:
    of = Book()
    of.place(order(9, side="sell", owner="bob", size=5))
    of.place(order(1, side="sell"))
    of.place(order(3, side="sell", owner="cid", size=3))
    of.level("sell", 100, 2)
    found = of.place(order(2, self_trade=how))
    seen = [
        (e.maker, e.size) if isinstance(e, Trade) else e
        for e in found
        if not (isinstance(e, OrderRemoved) and e.reason == "filled")
        and not isinstance(e, OrderRested)
    ]
    assert seen == expected


def test_less_keeps_its_place_and_more_loses_it() -> None:
    of = book(bids=[(100, 5)])
    of.place(ORDER)
    of.level("buy", 100, 50)
    assert of.amend(1, left=4) == [OrderRested(1, 4, 5)]
    assert of.amend(1, left=6) == [OrderRested(1, 6, 50)]
    assert of.amend(1, price=99, left=6) == [OrderRested(1, 6, 0)]
    assert of.amend(1, left=0) == [OrderRemoved(1, 0, "filled")]
    assert of.cancel(1) is None


def test_an_amended_price_may_trade_at_once() -> None:
    of = book(asks=[(101, 4)])
    of.place(ORDER)
    assert of.amend(1, price=101, left=10) == [Trade(101, 4, "buy", 1, None), OrderRested(1, 6, 0)]


@dataclass(frozen=True)
class Step:
    """One thing that happens to a book; not every field counts for every kind of it."""

    what: Literal["level", "print", "place", "amend", "cancel"]
    side: Side
    price: int
    lots: int
    kind: Kind
    owner: str
    self_trade: SelfTrade
    which: int


STEPS = st.lists(
    st.builds(
        Step,
        what=st.sampled_from(["level", "print", "place", "place", "amend", "cancel"]),
        side=st.sampled_from(["buy", "sell"]),
        price=st.integers(95, 105),
        lots=st.integers(1, 30),
        kind=st.sampled_from(["limit", "post_only", "ioc", "fok"]),
        owner=st.sampled_from(["ann", "bob"]),
        self_trade=st.sampled_from(["cancel_maker", "cancel_taker", "cancel_both"]),
        which=st.integers(0, 20),
    ),
    max_size=40,
)


class Story:
    """A book and what its events add up to."""

    def __init__(self) -> None:
        self.book = Book()
        self.size: Counter[int] = Counter()
        self.traded: Counter[int] = Counter()
        self.owner: dict[int, str] = {}
        self.gone: dict[int, OrderRemoved] = {}

    def do(self, number: int, step: Step) -> list[Event]:
        if step.what == "level":
            return self.book.level(step.side, step.price, step.lots % 25)
        if step.what == "print":
            found = self.book.printed(step.side, step.price, step.lots)
            assert sum(e.size for e in found if isinstance(e, Trade)) <= step.lots
            return found
        if step.what == "place":
            self.size[number], self.owner[number] = step.lots, step.owner
            new = order(number, side=step.side, price=step.price, size=step.lots, kind=step.kind)
            found = self.book.place(replace(new, owner=step.owner, self_trade=step.self_trade))
            for event in found:
                if isinstance(event, Trade) and step.side == "buy":
                    assert event.price <= step.price
                elif isinstance(event, Trade):
                    assert event.price >= step.price
            return found
        if self.book.ahead(step.which) is None:
            return []
        if step.what == "amend":
            self.size[step.which] = self.traded[step.which] + step.lots
            return self.book.amend(step.which, price=step.price, left=step.lots)
        out = self.book.cancel(step.which)
        return [] if out is None else [out]

    def note(self, event: Event) -> None:
        if isinstance(event, OrderRemoved):
            self.gone[event.order_id] = event
        elif isinstance(event, Trade):
            parties = [who for who in (event.taker, event.maker) if who is not None]
            for who in parties:
                self.traded[who] += event.size
                assert who not in self.gone
            assert len({self.owner[who] for who in parties}) == len(parties)

    def holds(self) -> None:
        waiting = {number for number in self.size if self.book.ahead(number) is not None}
        assert waiting == set(self.size) - set(self.gone)
        for number, gone in self.gone.items():
            assert self.size[number] == self.traded[number] + gone.left
        sides: tuple[Side, ...] = ("buy", "sell")
        shown = sum(lots for side in sides for _, lots, _ in self.book.depth(side, 99))
        assert shown >= sum(self.size[n] - self.traded[n] for n in waiting)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_no_lot_is_made_or_lost(script: list[Step]) -> None:
    """Each order's size is what it traded, what it left with, and what still waits; nobody trades
    with himself, and nobody trades at a price worse than his own."""
    story = Story()
    for number, step in enumerate(script):
        for event in story.do(number, step):
            story.note(event)
        story.holds()
