"""Books as a wallet's bots have them: none is believed that nobody tells of any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.bots.wallet import markets
from tests.bots.exchange import CONFIG, SWAP, Desk, open_orders, quote, scripted, until
from tradingtools.domain.instrument import TradingPhase
from tradingtools.venues.trading import PhaseChange

OTHER = replace(SWAP, id="okx:ETH-USDT-SWAP")


async def test_a_book_that_the_next_feed_does_not_tell_is_in_doubt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another bot begins elsewhere: all is followed anew, and the feed is away just then."""
    monkeypatch.setattr(markets, "BOOK_WITHIN_MS", 100)
    script = scripted(monkeypatch)
    script.intents = (quote(),)
    desk.exchange.instruments[OTHER.id] = OTHER
    desk.bot(desk.one, limits={"mark_age_ms": "100"})
    async with desk.running():
        await until(lambda: open_orders(desk), "the quote")
        script.intents = ()
        desk.exchange.tells = 0
        elsewhere = {**CONFIG, "instrument_id": OTHER.id}
        desk.bot(desk.other, instruments=[OTHER.id], config=elsewhere)
        await until(lambda: not open_orders(desk), "the end of what opens")
        assert desk.run is not None
        look = desk.run.look()
        assert look is not None
        assert look.doubted == 1


async def test_a_bot_that_comes_to_a_quiet_market_is_told_its_book(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(),)
    desk.exchange.tells = 1
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: open_orders(desk), "the first quote")
        desk.bot(desk.other)
        await until(lambda: len(open_orders(desk)) == 2, "the quote of the one that came")


async def test_a_bot_that_begins_anew_goes_by_the_phase_that_was_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its market was suspended when the wallet read it; that it goes on was told once."""
    script = scripted(monkeypatch)
    script.intents = (quote(),)
    desk.exchange.instruments[SWAP.id] = replace(SWAP, phase=TradingPhase.SUSPENDED)
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RUNNING", "the start")
        desk.exchange.market.append(
            PhaseChange(instrument=SWAP, phase=SWAP.phase, cause="restart", venue_ms=1)
        )
        await until(lambda: open_orders(desk), "the first quote")
        desk.command(desk.one, "PAUSED")
        await until(lambda: desk.state(desk.one) == "PAUSED", "the pause")
        desk.command(desk.one, "RUNNING")
        await until(lambda: open_orders(desk), "the quote of the one that begins anew")
