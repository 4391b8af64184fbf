"""One slot, one order that may fill."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.bots.core import orders
from services.bots.core.orders import BotOrder
from services.bots.core.reconcile import AmendNeeded, CancelNeeded, PlaceNeeded, desired
from services.bots.core.strategy import Quote
from tests.unit.bots.samples import AMENDS, CANCELS, swap
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
from tradingtools.domain.instrument import TradingPhase
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import AmendOrder, NewOrder, Receipt

ONE = swap()
QUOTE = Quote(slot="bid", instrument_id=ONE.id, side="BUY", price=640_000, size=500, post_only=True)


def intended() -> BotOrder:
    new = NewOrder(
        order_id="a",
        instrument=ONE,
        side="BUY",
        price=QUOTE.price,
        size=QUOTE.size,
        post_only=True,
        not_after_ms=1_000,
    )
    return orders.intend(new, bot_id="b", epoch=1)


def resting() -> BotOrder:
    sent = orders.sending(intended())
    return orders.answered(sent, PendingRequest.PLACE, Receipt(meaning=Meaning.ACCEPTED))


def unknown() -> BotOrder:
    return orders.orphaned(orders.sending(intended()))


def test_an_empty_slot_gets_its_quote() -> None:
    assert desired(QUOTE, None, ONE, AMENDS) == PlaceNeeded(QUOTE)


def test_what_stands_as_wanted_stays() -> None:
    assert desired(QUOTE, resting(), ONE, AMENDS) is None


def test_another_price_amends_where_the_venue_can_and_cancels_where_not() -> None:
    better = replace(QUOTE, price=640_001)

    assert desired(better, resting(), ONE, AMENDS) == AmendNeeded(resting(), 640_001, None)
    assert desired(better, resting(), ONE, CANCELS) == CancelNeeded(resting())


def test_an_amended_size_counts_what_is_filled() -> None:
    partly = replace(resting(), state=BotOrderState.PARTIALLY_FILLED, fills={"t": 200})

    assert desired(QUOTE, partly, ONE, AMENDS) == AmendNeeded(partly, None, 700)


def test_an_order_is_no_larger_than_its_venue_takes() -> None:
    few = replace(ONE, maximum_size=600)
    partly = replace(resting(), state=BotOrderState.PARTIALLY_FILLED, fills={"t": 200})

    assert desired(QUOTE, partly, few, AMENDS) == AmendNeeded(partly, None, 600)
    assert desired(replace(QUOTE, size=900), resting(), few, AMENDS) == AmendNeeded(
        resting(), None, 600
    )


@pytest.mark.parametrize(
    "quote",
    [
        replace(QUOTE, side="SELL"),
        replace(QUOTE, post_only=False),
        replace(QUOTE, reduce_only=True),
        None,
    ],
)
def test_what_no_amend_can_change_is_cancelled(quote: Quote | None) -> None:
    assert desired(quote, resting(), ONE, AMENDS) == CancelNeeded(resting())


@pytest.mark.parametrize(
    "order",
    [
        orders.sending(intended()),
        unknown(),
        orders.cancelling(resting()),
        orders.amending(
            resting(),
            AmendOrder(order_id="a", request_id="r", instrument=ONE, price=1, not_after_ms=1),
        ),
    ],
    ids=["submitting", "unknown", "cancelling", "amending"],
)
def test_beside_an_order_that_may_fill_nothing_is_placed(order: BotOrder) -> None:
    better = replace(QUOTE, price=640_005)

    assert desired(better, order, ONE, AMENDS) is None


def test_a_cancel_does_not_wait_for_the_place() -> None:
    submitting = orders.sending(intended())

    assert desired(None, submitting, ONE, AMENDS) == CancelNeeded(submitting)
    assert desired(None, orders.cancelling(submitting), ONE, AMENDS) is None


def test_an_ended_order_with_unbooked_fills_keeps_its_slot() -> None:
    ended = replace(resting(), state=BotOrderState.CANCELLED, reported_filled=100)

    assert desired(QUOTE, ended, ONE, AMENDS) is None
    assert desired(QUOTE, replace(ended, fills={"t": 100}), ONE, AMENDS) == PlaceNeeded(QUOTE)


def test_a_quote_below_the_smallest_order_is_not_placed() -> None:
    assert desired(replace(QUOTE, size=0), None, ONE, AMENDS) is None


@pytest.mark.parametrize(
    ("phase", "post_only", "placed"),
    [
        (TradingPhase.OPEN, False, True),
        (TradingPhase.POST_ONLY, True, True),
        (TradingPhase.POST_ONLY, False, False),
        (TradingPhase.SUSPENDED, True, False),
        (TradingPhase.ENDED, True, False),
    ],
)
def test_nothing_is_placed_that_the_phase_of_a_market_does_not_take(
    phase: TradingPhase, post_only: bool, placed: bool
) -> None:
    quote = replace(QUOTE, post_only=post_only)
    found = desired(quote, None, replace(ONE, phase=phase), AMENDS)
    assert found == (PlaceNeeded(quote) if placed else None)
