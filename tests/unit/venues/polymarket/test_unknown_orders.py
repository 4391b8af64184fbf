"""An order that nobody answered for is reserved until nothing can come of it any more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingtools.venues.polymarket.unknown_orders import (
    HORIZON_MS,
    REQUEST_LIVES_MS,
    Conclusion,
    Look,
    UnknownOrder,
    conclude,
    pause_ms,
)
from tradingtools.venues.trading import OrderReport, OrderStatus, RestingTime

SENT = 1_790_000_000_000


def order(time_in_force: RestingTime, expires_ms: int | None = None) -> UnknownOrder:
    return UnknownOrder(
        order_id="a",
        venue_order_id="0xa",
        time_in_force=time_in_force,
        sent_ms=SENT,
        expires_ms=expires_ms,
    )


def report(status: OrderStatus) -> OrderReport:
    return OrderReport(
        order_id="a",
        venue_order_id="0xa",
        instrument_id="polymarket:1",
        side="BUY",
        status=status,
        price=500_000,
        size=5_000_000,
        filled_size=0,
        venue_ms=SENT,
    )


GTD = order(RestingTime.GTD, SENT + 600_000)
FAK = order(RestingTime.IOC)
GTC = order(RestingTime.GTC)


@pytest.mark.parametrize(
    ("of", "until"),
    [(GTD, SENT + 600_000 + HORIZON_MS), (FAK, SENT + REQUEST_LIVES_MS)],
    ids=["GTD", "FAK"],
)
def test_not_found_proves_nothing_before_the_last_possible_instant(
    of: UnknownOrder, until: int
) -> None:
    assert conclude(of, 0, None) is Conclusion.CANCEL_AND_LOOK
    for looks in (1, 1_000):
        early = Look(asked_ms=until, found=None)
        assert conclude(of, looks, early) is Conclusion.CANCEL_AND_LOOK
    assert conclude(of, 1, Look(asked_ms=until + 1, found=None)) is Conclusion.LOST


def test_an_order_without_an_end_is_for_a_person() -> None:
    look = Look(asked_ms=SENT * 2, found=None)
    assert conclude(GTC, 1, look) is Conclusion.CANCEL_AND_LOOK
    assert conclude(GTC, 1_000, look) is Conclusion.KEEP


@pytest.mark.parametrize("status", list(OrderStatus))
def test_what_was_found_is_cancelled_until_it_has_ended(status: OrderStatus) -> None:
    look = Look(asked_ms=SENT * 2, found=report(status))
    rests = status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
    for of in (GTD, FAK, GTC):
        found = conclude(of, 5, look)
        assert found is (Conclusion.CANCEL_AND_LOOK if rests else Conclusion.ENDED)


@settings(max_examples=50)
@given(after=st.integers(0, 2_000_000), looks=st.integers(0, 2_000))
def test_pauses_grow_and_never_jump_over_the_instant_that_proves(after: int, looks: int) -> None:
    now = SENT + after
    pause = pause_ms(GTD, looks, now)
    assert 1 <= pause <= 15_000
    until = GTD.last_possible_ms
    assert until is not None
    assert now > until or now + pause <= until + 1
