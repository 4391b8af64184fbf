"""What the exchange does to a wallet's positions by itself, as its bots book it."""

from __future__ import annotations

import pytest

from tests.bots.exchange import GRID, SWAP, Desk, Script, open_orders, quote, scripted, until
from tests.unit.bots.samples import swap
from tradingtools import clock
from tradingtools.venues.trading import FundingPayment


async def filled(desk: Desk, script: Script, bot_id: str, size: int) -> None:
    """Let one bot buy, and quote no more."""
    script.intents = (quote(size),)
    mine = await until(lambda: [o for o in open_orders(desk) if o.startswith(bot_id)], "a quote")
    desk.exchange.fill(mine[0], size)
    script.intents = ()
    await until(lambda: desk.booked(bot_id) == size, "the fill")


async def test_a_liquidation_is_booked_once_by_those_who_held_and_stops_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = scripted(monkeypatch), scripted(monkeypatch, "grid")
    desk.bot(desk.one)
    desk.bot(desk.other, "grid", config=GRID)
    async with desk.running():
        await filled(desk, one, desk.one, 6)
        await filled(desk, other, desk.other, 3)
        desk.exchange.trade("", "SELL", 600_000, 6, forced="liquidation", fee=30)
        await until(lambda: desk.state(desk.one) == "RISK_STOPPED", "the stop")
        await until(lambda: desk.state(desk.other) == "RISK_STOPPED", "the other's")
        assert (desk.booked(desk.one), desk.booked(desk.other)) == (2, 1)
        assert "liquidation of 0.04" in desk.reason(desk.one)
    fees = "select sum(fee) from bot_fill where bot_id = any(%s)"
    assert desk.rows(fees, [desk.one, desk.other]) == [(30,)]

    # Another owner reads it again, with one that nobody has heard of.
    desk.exchange.trade("", "SELL", 590_000, 3, forced="adl")
    desk.rows("update bot set desired = 'STOPPED' where wallet_id = %s", desk.wallet)
    desk.rows("update bot set flattening = true where id = %s", desk.one)
    async with desk.running():
        await until(lambda: desk.booked(desk.one) == 0, "the rest")
        await until(lambda: desk.booked(desk.other) == 0, "the other's")
    held = "select holdings -> %s ->> 'size' from bot_standing where bot_id = any(%s)"
    assert desk.rows(held, SWAP.id, [desk.one, desk.other]) == [("0",), ("0",)]
    assert desk.rows(fees, [desk.one, desk.other]) == [(30,)]


async def test_trades_of_two_instruments_with_one_id_are_two(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = swap(inverse=True)
    desk.exchange.instruments[other.id] = other
    script = scripted(monkeypatch)
    desk.bot(desk.one, instruments=[SWAP.id, other.id])
    async with desk.running():
        await filled(desk, script, desk.one, 6)
        script.intents = (quote(4, slot="b", instrument_id=other.id),)
        (mine,) = await until(lambda: open_orders(desk), "a quote")
        script.intents = ()
        desk.exchange.fill(mine, 4, instrument_id=other.id, fee_currency="BTC")
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
        for instrument_id, size in ((SWAP.id, 6), (other.id, 4)):
            desk.exchange.trade(
                "", "SELL", 600_000, size, forced="delivery", trade_id="7",
                instrument_id=instrument_id,
            )  # fmt: skip
        await until(lambda: desk.booked(desk.one) == 0, "both deliveries")


async def test_funding_is_booked_once_and_known_to_the_next_life(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.bots.wallet.forced.FUNDING_SECONDS", 0.02)
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    result = "select (holdings -> %s ->> 'funding')::bigint from bot_standing where bot_id = %s"
    async with desk.running():
        await filled(desk, script, desk.one, 6)
        paid = FundingPayment(
            payment_id="p1", instrument_id=SWAP.id, amount=-77, venue_ms=clock.now_ms()
        )
        desk.exchange.payments.append(paid)
        await until(lambda: desk.rows(result, SWAP.id, desk.one) == [(-77,)], "the payment")
    async with desk.running():
        received = len(script.received)
        await until(lambda: len(script.received) > received + 20, "some time")
        assert desk.rows(result, SWAP.id, desk.one) == [(-77,)]


async def test_funding_is_divided_by_fills_that_are_not_written_yet_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.bots.wallet.forced.FUNDING_SECONDS", 0.02)
    one, other = scripted(monkeypatch), scripted(monkeypatch, "grid")
    desk.bot(desk.one)
    desk.bot(desk.other, "grid", config=GRID)
    parts = "select bot_id, amount from bot_funding where bot_id = any(%s) order by amount"
    async with desk.running(write_ms=500):
        one.intents, other.intents = (quote(6),), (quote(4),)
        await until(lambda: len(open_orders(desk)) == 2, "the quotes")
        one.intents = other.intents = ()
        mine, theirs = sorted(open_orders(desk), key=lambda name: name.startswith(desk.other))
        desk.exchange.fill(mine, 6)
        await until(lambda: desk.booked(desk.one) == 6, "the first fill")
        desk.exchange.fill(theirs, 4)
        paid = FundingPayment(
            payment_id="p1", instrument_id=SWAP.id, amount=-100, venue_ms=clock.now_ms()
        )
        desk.exchange.payments.append(paid)
        both = [desk.one, desk.other]
        await until(lambda: len(desk.rows(parts, both)) == 2, "both parts")
    assert desk.rows(parts, both) == [(desk.one, -60), (desk.other, -40)]
