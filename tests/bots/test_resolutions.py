"""Shares of a market that is resolved while their bots run, pause or are nowhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bots.exchange import Desk, Exchange, Script, open_orders, quote, scripted, until
from tests.unit.bots.samples import outcome
from tradingtools.domain.instrument import TradingPhase
from tradingtools.venues.trading import PhaseChange

YES = outcome()
BOOKED = "select price, sum(size) from bot_fill where order_id = 'resolution:' || %s group by price"


async def bought(desk: Desk, script: Script, bot_id: str, size: int) -> None:
    """Let one bot buy shares at 0.40, and quote no more."""
    script.intents = (quote(size, instrument_id=YES.id, price=400_000),)
    mine = await until(lambda: [o for o in open_orders(desk) if o.startswith(bot_id)], "a quote")
    script.intents = ()
    desk.exchange.fill(mine[0], size, instrument_id=YES.id, fee_currency="USDC")
    await until(lambda: desk.booked(bot_id) == size, "the fill")


async def test_each_share_is_paid_once_whatever_its_bot_does(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The feed tells no payout; the listing does, later, and the exchange redeems later still."""
    monkeypatch.setattr("services.bots.wallet.resolutions.POLL_SECONDS", 0.02)
    desk.exchange = exchange = Exchange(instruments={YES.id: YES})
    one, other = scripted(monkeypatch), scripted(monkeypatch, "grid")
    desk.bot(desk.one, instruments=[YES.id])
    desk.bot(
        desk.other,
        "grid",
        config={
            "instrument_id": YES.id, "lower": 300_000, "upper": 500_000, "cells": 2,
            "order_size": 5_000_000,
        },
        instruments=[YES.id],
    )  # fmt: skip
    async with desk.running():
        await bought(desk, one, desk.one, 10_000_000)
        await bought(desk, other, desk.other, 6_000_000)
        desk.command(desk.other, "PAUSED")
        await until(lambda: desk.state(desk.other) == "PAUSED", "the pause")
        ended = replace(YES, phase=TradingPhase.ENDED)
        exchange.market.append(
            PhaseChange(instrument=ended, phase=TradingPhase.ENDED, cause="resolution", venue_ms=1)
        )
        await until(lambda: not exchange.market, "the end to be told")
        looked = exchange.looked
        await until(lambda: exchange.looked > looked + 4, "looks at the listing")
        assert desk.booked(desk.one) == 10_000_000
        exchange.instruments[YES.id] = replace(ended, payout=500_000)
        await until(lambda: desk.state(desk.one) == "STOPPED", "the end")
        await until(lambda: desk.booked(desk.other) == 0, "the other's")
    assert desk.reason(desk.one) == "its markets have ended"
    assert desk.state(desk.other) == "PAUSED"
    for bot_id, size in ((desk.one, 10_000_000), (desk.other, 6_000_000)):
        assert desk.rows(BOOKED, bot_id) == [(500_000, size)]

    # Another life finds all of it booked; the shares that wait to be redeemed are nobody's.
    desk.command(desk.other, "RUNNING")
    async with desk.running():
        await until(lambda: desk.state(desk.other) == "STOPPED", "the other's end")
    assert desk.rows(BOOKED, desk.other) == [(500_000, 6_000_000)]
    assert desk.rows("select 1 from position_gap where wallet_id = %s", desk.wallet) == []
