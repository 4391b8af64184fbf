"""A venue that no core has heard of: its values and capabilities are all that they need."""

from __future__ import annotations

from decimal import Decimal

from tests.bots.exchange import Desk, Exchange, open_orders, until
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.trading import TradingCapabilities

COIN = Instrument(
    id="elsewhere:COIN-USDT",
    kind=InstrumentKind.SPOT,
    base="COIN",
    quote="USDT",
    settle="USDT",
    price_digits=2,
    size_digits=4,
    money_digits=6,
    tick_size=10,
    lot_size=5,
    minimum_size=10,
    contract=Decimal(1),
)
CAPABILITIES = TradingCapabilities(
    resting=True,
    amend=False,
    post_only=True,
    not_after=False,
    unique_order_id=True,
    order_id_known_before=False,
    found_for_ms=3_600_000,
    rests_for_ms=90_000,
    horizon_ms=1_000,
)
CONFIG = {
    "instrument_id": COIN.id,
    "order_size": 20,
    "max_position": 100,
    "max_half_spread": 100_000,
}


async def test_a_bot_makes_a_market_where_no_core_has_been(desk: Desk) -> None:
    desk.exchange = Exchange(capabilities=CAPABILITIES, instruments={COIN.id: COIN})
    desk.rows("alter table trading_wallet drop constraint if exists trading_wallet_exchange_check")
    desk.bot(desk.one, config=CONFIG, instruments=[COIN.id])
    exchange = desk.exchange
    async with desk.running():
        (bid,) = await until(lambda: open_orders(desk), "the bid: nothing is held yet")
        assert exchange.orders[bid].side == "BUY"
        placed = exchange.placed[0]
        # Where no order rests for ever, each has an end.
        assert placed.expires_ms is not None
        assert placed.expires_ms - placed.created_ms == 90_000
        exchange.fill(bid, 20, instrument_id=COIN.id, fee_currency="USDT")
        await until(lambda: _sides(desk) == {"BUY", "SELL"}, "quotes on both sides")
        ask = next(one for one in open_orders(desk) if exchange.orders[one].side == "SELL")
        exchange.fill(ask, 20, instrument_id=COIN.id, fee_currency="USDT")
        booked = "select 1 from bot_fill where bot_id = %s"
        await until(lambda: len(desk.rows(booked, desk.one)) == 2, "both fills")
        desk.command(desk.one, "STOPPED")
        await until(lambda: desk.state(desk.one) == "STOPPED", "the end")
    assert open_orders(desk) == []
    assert desk.booked(desk.one) == exchange.positions[COIN.id] == 0
    placed_ids = [one.order_id for one in exchange.placed]
    assert len(placed_ids) == len(set(placed_ids))
    assert {one.instrument.id for one in exchange.placed} == {COIN.id}


def _sides(desk: Desk) -> set[str]:
    return {desk.exchange.orders[one].side for one in open_orders(desk)}
