"""A BUY that takes at Polymarket spends its money: at better prices it fills more than its size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.bots.core.orders import (
    BotOrder,
    OrderError,
    answered,
    filled,
    intend,
    reported,
    sending,
    settled_as,
)
from tests.unit.bots.samples import CANCELS, outcome
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
from tradingtools.venues.ports import Meaning, Side
from tradingtools.venues.trading import (
    Fill,
    NewOrder,
    OrderReport,
    OrderStatus,
    Receipt,
    RestingTime,
)

YES = outcome()
SPENDS = replace(CANCELS, taking_buys_spend=True)
SHARE, PRICE = 1_000_000, 550_000


def order(side: Side = "BUY", time: RestingTime = RestingTime.IOC) -> BotOrder:
    new = NewOrder(
        order_id="bot1e1n1", instrument=YES, side=side, price=PRICE, size=10 * SHARE,
        time_in_force=time, not_after_ms=1_000,
    )  # fmt: skip
    return sending(intend(new, bot_id="bot1", epoch=1, able=SPENDS))


def fill(size: int, price: int = 500_000, side: Side = "BUY", trade: str = "t1") -> Fill:
    return Fill(
        trade_id=trade, order_id="bot1e1n1", venue_order_id="v1", instrument_id=YES.id, side=side,
        price=price, size=size, fee=0, fee_currency="USDC", maker=False, venue_ms=1,
    )  # fmt: skip


def end(size: int) -> OrderReport:
    return OrderReport(
        order_id="bot1e1n1", venue_order_id="v1", instrument_id=YES.id, side="BUY",
        status=OrderStatus.FILLED, price=PRICE, size=10 * SHARE, filled_size=size, venue_ms=2,
    )  # fmt: skip


def test_more_shares_for_the_same_money_are_no_contradiction() -> None:
    after = reported(filled(order(), fill(11 * SHARE)), end(11 * SHARE))
    assert (after.state, after.breach, after.filled) == (BotOrderState.FILLED, "", 11 * SHARE)
    assert after.settled


def test_its_end_waits_for_a_fill_beyond_its_size() -> None:
    after = reported(filled(order(), fill(10 * SHARE)), end(11 * SHARE))
    assert after.reserved == SHARE
    assert filled(after, fill(SHARE, trade="t2")).settled


@pytest.mark.parametrize(
    "other",
    [order("SELL"), order(time=RestingTime.GTC)],
    ids=["a SELL", "a BUY that rests"],
)
def test_any_other_order_fills_its_size_at_most(other: BotOrder) -> None:
    assert "more than was ordered" in filled(other, fill(11 * SHARE)).breach


def test_more_than_its_money_can_buy_is_a_contradiction() -> None:
    most = 10 * SHARE * PRICE // YES.tick_size
    assert not filled(order(), fill(most)).breach
    assert "more than was ordered" in filled(order(), fill(most + 1)).breach


def test_an_operator_may_say_that_it_filled_more() -> None:
    dead = replace(order(), state=BotOrderState.DEAD)
    assert settled_as(dead, 11 * SHARE).state is BotOrderState.FILLED
    with pytest.raises(OrderError):
        settled_as(replace(order("SELL"), state=BotOrderState.DEAD), 11 * SHARE)


def test_a_refused_order_that_is_told_as_cancelled_without_a_fill_is_no_breach() -> None:
    """Polymarket refuses a buy that finds nobody to match, and tells it as cancelled besides."""
    killed = Receipt(meaning=Meaning.REJECTED, code="FAK_KILLED")
    nothing = replace(end(0), status=OrderStatus.CANCELLED)

    for one in (
        reported(answered(order(), PendingRequest.PLACE, killed), nothing),
        answered(reported(order(), nothing), PendingRequest.PLACE, killed),
    ):
        assert (one.breach, one.settled) == ("", True)
    part = reported(
        answered(order(), PendingRequest.PLACE, killed), replace(nothing, filled_size=SHARE)
    )
    assert part.breach == "the venue tells CANCELLED of what was REJECTED"
    rests = replace(end(0), status=OrderStatus.OPEN)
    one = reported(answered(order(), PendingRequest.PLACE, killed), rests)
    assert one.state is BotOrderState.RESURRECTED
