"""Positions beside the exchange's: what is held of shared coins, and what may have moved them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bots.core import forced, orders, positions
from services.bots.core.holding import Holding, booked, unrealised
from services.bots.core.orders import BotOrder
from tests.unit.bots.samples import AMENDS, outcome, spot, swap
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.trading import AccountState, Balance, NewOrder

COINS = spot()
OTHER = replace(COINS, id="okx:BTC-USDC", quote="USDC", settle="USDC")
PAYS = replace(COINS, id="okx:ETH-BTC", base="ETH", quote="BTC", settle="BTC")


def test_coins_of_two_markets_are_there_once() -> None:
    """Before, each market was told that the whole balance was its own, so nothing was missing."""
    btc = Balance(currency="BTC", total=Decimal("1.5"), available=Decimal("1.5"))
    account = AccountState(balances=(btc,), positions=(), venue_ms=1)
    one = 10**COINS.size_digits
    believed = {COINS.id: one, OTHER.id: one}

    found = positions.held(account, (COINS, OTHER), believed)

    assert found == {COINS.id: one // 2, OTHER.id: one // 2}
    assert positions.held(account, (COINS,), {COINS.id: one}) == {COINS.id: one + one // 2}


def order(instrument: Instrument, state: BotOrderState, **more: object) -> BotOrder:
    new = NewOrder(
        order_id="a", instrument=instrument, side="BUY", price=1, size=10, not_after_ms=0
    )
    made = orders.intend(new, bot_id="b", epoch=1, able=AMENDS)
    return replace(made, state=state, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "may"),
    [
        (order(COINS, BotOrderState.OPEN), False),
        (order(COINS, BotOrderState.PARTIALLY_FILLED, fills={"t": 4}, reported_filled=4), False),
        (
            order(COINS, BotOrderState.FILLED, fills={"t": 6}, undone={"u": 4}, reported_filled=10),
            False,
        ),
        # A part is told and not booked.
        (order(COINS, BotOrderState.PARTIALLY_FILLED, fills={"t": 4}, reported_filled=5), True),
        (order(COINS, BotOrderState.CANCELLED, reported_filled=1), True),
        (order(COINS, BotOrderState.OPEN, pending=PendingRequest.AMEND), True),
        (order(COINS, BotOrderState.OPEN, pending=PendingRequest.CANCEL), True),
        (order(COINS, BotOrderState.SUBMITTING), True),
        (order(COINS, BotOrderState.UNKNOWN), True),
        (order(COINS, BotOrderState.DEAD), True),
        (order(COINS, BotOrderState.RESURRECTED), True),
        # It moves the same coins, or pays with them.
        (order(OTHER, BotOrderState.UNKNOWN), True),
        (order(PAYS, BotOrderState.UNKNOWN), True),
        (order(swap(), BotOrderState.UNKNOWN), False),
    ],
)
def test_an_order_that_may_have_moved_a_position_unheard(one: BotOrder, may: bool) -> None:
    assert positions.is_under_way([one], COINS) is may


@given(
    instrument=st.sampled_from([swap(), swap(inverse=True), outcome(), COINS]),
    size=st.integers(1, 10**9),
    price=st.integers(1, 10**6),
    mark=st.integers(1, 10**6),
    gone=st.integers(1, 10**9),
    long=st.booleans(),
    marked=st.booleans(),
)
def test_what_is_gone_leaves_the_rest_and_the_result(
    instrument: Instrument, size: int, price: int, mark: int, gone: int, long: bool, marked: bool
) -> None:
    held = Holding(
        size=size if long else -size, cost=instrument.notional(price, size, up=long), realised=7
    )
    part = min(gone, size)

    fill = forced.traded_elsewhere("b", instrument, held, part, mark if marked else None, 5)
    after = booked(held, instrument, fill)

    assert abs(after.size) == size - part
    assert after.size * held.size >= 0
    if marked:
        before = held.made + unrealised(held, instrument, mark)
        made = after.made + unrealised(after, instrument, mark)
        assert abs(made - before) <= 3
    elif not instrument.inverse:
        # At cost nothing is gained; a price is whole, so its last unit counts.
        step = abs(instrument.notional(fill.price + 1, part, up=True)
                   - instrument.notional(fill.price, part, up=False))  # fmt: skip
        assert abs(after.realised - 7) <= step + 3
