"""A venue's book without a bot's own orders: what is left is exactly what others have there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.bots.core import orders
from services.bots.core.orders import BotOrder
from services.bots.core.own_orders import of_others
from tests.unit.bots.samples import AMENDS, book, outcome, swap
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import AmendOrder, NewOrder, RestingTime, TradingBook

ONE, YES, NO = swap(), outcome("yes"), outcome("no")
MIDDLE = 640_000
BIDS, ASKS = st.integers(MIDDLE - 6, MIDDLE - 1), st.integers(MIDDLE + 1, MIDDLE + 6)
SIZES = st.integers(1, 50)
LADDERS = st.tuples(
    st.dictionaries(BIDS, SIZES, max_size=6), st.dictionaries(ASKS, SIZES, max_size=6)
)
OWN = st.lists(
    st.one_of(st.tuples(st.just("BUY"), BIDS, SIZES), st.tuples(st.just("SELL"), ASKS, SIZES)),
    max_size=8,
)


def order(side: Side, price: int, size: int, *, of: Instrument = ONE, **more: Any) -> BotOrder:
    """Return an order that rests, as its bot knows it."""
    new = NewOrder(
        order_id="a", instrument=of, side=side, price=price, size=size, not_after_ms=1,
        time_in_force=more.pop("time_in_force", RestingTime.GTC),
    )  # fmt: skip
    one = orders.sending(orders.intend(new, bot_id="b", epoch=1, able=AMENDS))
    return replace(one, **{"state": BotOrderState.OPEN, **more})


def reported(bids: Mapping[int, int], asks: Mapping[int, int], of: Instrument = ONE) -> TradingBook:
    return book(of, tuple(sorted(bids.items(), reverse=True)), tuple(sorted(asks.items())))


def joined(
    levels: Mapping[int, int], own: list[tuple[Side, int, int]], side: Side
) -> dict[int, int]:
    found = dict(levels)
    for one, price, size in own:
        if one == side:
            found[price] = found.get(price, 0) + size
    return found


@given(LADDERS, OWN)
def test_what_rests_is_taken_out_to_the_last_unit(
    ladders: tuple[dict[int, int], dict[int, int]], own: list[tuple[Side, int, int]]
) -> None:
    bids, asks = ladders
    shown = reported(joined(bids, own, "BUY"), joined(asks, own, "SELL"))

    assert of_others(shown, ONE, [order(*one) for one in own]) == reported(bids, asks)


@given(LADDERS, OWN, st.sampled_from([*PendingRequest]), st.sampled_from([*BotOrderState]))
def test_nothing_is_added_and_no_level_is_below_zero(
    ladders: tuple[dict[int, int], dict[int, int]],
    own: list[tuple[Side, int, int]],
    pending: PendingRequest,
    state: BotOrderState,
) -> None:
    shown = reported(*ladders)
    mine = [order(*one, state=state, pending=pending) for one in own]

    found = of_others(shown, ONE, mine)

    for before, after in ((shown.bids, found.bids), (shown.asks, found.asks)):
        assert [one for one, _ in after] == [one for one, _ in before if one in dict(after)]
        assert all(0 < size <= dict(before)[price] for price, size in after)
        places = {price for _, price, _ in own}
        assert {it for it in before if it[0] not in places} <= set(after)


@given(LADDERS)
def test_a_book_without_own_orders_is_the_same_object(
    ladders: tuple[dict[int, int], dict[int, int]],
) -> None:
    shown = reported(*ladders)

    assert of_others(shown, ONE, [order("BUY", 639_000, 5)]) is shown
    assert of_others(shown, ONE, [order("BUY", MIDDLE - 1, 5, of=YES)]) is shown


def test_what_is_filled_is_not_there_any_more() -> None:
    shown = reported({MIDDLE: 7}, {})

    assert of_others(shown, ONE, [order("BUY", MIDDLE, 9, fills={"t": 5})]) == reported(
        {MIDDLE: 3}, {}
    )
    # Its venue has told of a fill that is not booked.
    assert of_others(shown, ONE, [order("BUY", MIDDLE, 9, reported_filled=8)]) == reported(
        {MIDDLE: 6}, {}
    )


def test_an_order_under_way_is_taken_out_where_there_is_room_for_it() -> None:
    on_its_way = order("BUY", MIDDLE, 5, state=BotOrderState.SUBMITTING)

    assert of_others(reported({MIDDLE: 4}, {}), ONE, [on_its_way]) == reported({MIDDLE: 4}, {})
    assert of_others(reported({MIDDLE: 5}, {}), ONE, [on_its_way]) == reported({}, {})
    assert of_others(reported({MIDDLE: 6}, {}), ONE, [on_its_way]) == reported({MIDDLE: 1}, {})


def test_an_amended_order_is_taken_out_at_either_price() -> None:
    change = AmendOrder(
        order_id="a", request_id="r", venue_order_id="v", instrument=ONE, price=MIDDLE + 2,
        size=None, not_after_ms=1,
    )  # fmt: skip
    moving = order("BUY", MIDDLE, 5, pending=PendingRequest.AMEND, change=change)
    others = {MIDDLE - 1: 3}

    for at in (MIDDLE, MIDDLE + 2):
        assert of_others(reported({at: 5, **others}, {}), ONE, [moving]) == reported(others, {})
    larger = replace(moving, change=AmendOrder(
        order_id="a", request_id="r", venue_order_id="v", instrument=ONE, price=None, size=8,
        not_after_ms=1,
    ))  # fmt: skip
    assert of_others(reported({MIDDLE: 5}, {}), ONE, [larger]) == reported({}, {})
    assert of_others(reported({MIDDLE: 9}, {}), ONE, [larger]) == reported({MIDDLE: 1}, {})


def test_what_never_rests_and_what_has_ended_stays_in() -> None:
    shown = reported({MIDDLE: 5}, {})

    assert of_others(shown, ONE, [order("BUY", MIDDLE, 5, time_in_force=RestingTime.IOC)]) is shown
    assert of_others(shown, ONE, [order("BUY", MIDDLE, 5, state=BotOrderState.CANCELLED)]) is shown


def test_a_bid_for_one_outcome_is_an_offer_of_the_other() -> None:
    shown = reported({400_000: 10}, {450_000: 30}, YES)
    mine = order("BUY", 550_000, 10, of=NO)

    assert of_others(shown, YES, [mine]) == reported({400_000: 10}, {450_000: 20}, YES)
    assert of_others(shown, YES, [order("BUY", 550_000, 10, of=ONE)]) is shown
