"""Currencies that are worth what their market in USDC says, and nothing that opens without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.bots.wallet import oversight, rates
from services.bots.wallet.rates import MarkedRates
from tests.bots.exchange import SWAP, Desk, open_orders, quote, scripted, until
from tests.unit.bots.samples import book, spot
from tradingtools.domain.instrument import Instrument

USDC_USDT = replace(
    spot(), id="okx:USDC-USDT", base="USDC", quote="USDT", settle="USDT", price_digits=6
)
"""Its book, the same as of every market here, says that a USDC costs 0.64 USDT."""


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "FIND_AGAIN_MS", 20)
    monkeypatch.setattr(rates, "RATE_AGE_MS", 100)
    monkeypatch.setattr(oversight, "VIEW_SECONDS", 0.02)


async def test_nothing_opens_without_a_fresh_mark_of_its_currency(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(10),)
    desk.bot(desk.one, limits={"mark_age_ms": "60000"})
    exchange = desk.exchange
    why = "select explanation ->> 'a' from bot_standing where bot_id = %s"
    async with desk.running(par=()):

        def said() -> str:
            rows = desk.rows(why, desk.one)
            return str(rows[0][0]) if rows else ""

        await until(lambda: "no mark of USDT in USDC" in said(), "the reason")
        assert exchange.placed == []

        exchange.instruments[USDC_USDT.id] = USDC_USDT
        await until(lambda: open_orders(desk), "the quote")
        ((micros,),) = desk.rows(
            "select max(long_micros) from risk_share where bot_id = %s", desk.one
        )
        # A contract of 0.01 BTC, a tenth of it is bought at 64,000.5 USDT, which is 100 USDC.
        worth = SWAP.notional(640_005, 10, up=True) / 10**SWAP.money_digits
        assert micros >= worth / 0.64 * 10**6

        exchange.doubted = True
        await until(lambda: not open_orders(desk), "the end of what opens")
        await until(lambda: "no mark of USDT in USDC" in said(), "the reason")
        exchange.doubted = False
        await until(lambda: open_orders(desk), "the next quote")


class Listing:
    async def find(self, _symbols: Sequence[str]) -> list[Instrument]:
        return [USDC_USDT]


async def test_a_wide_book_and_one_that_nobody_follows_are_no_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known: dict[str, int] = {"USDC": 10**9}
    bots = {"a": SimpleNamespace(instruments={SWAP.id: SWAP})}
    venue = SimpleNamespace(instruments=Listing())
    wallet = SimpleNamespace(rates=known, bots=bots, venue=venue, instruments={})
    marked = MarkedRates(cast(Any, wallet))
    await marked.look()
    monkeypatch.setattr(rates, "RATE_AGE_MS", 0)

    def reported(bid: int, ask: int) -> bool:
        marked.take(book(USDC_USDT, [(bid, 9)], [(ask, 9)]))
        marked.check()
        return "USDT" in known

    assert reported(1_000_000, 1_020_000)
    assert not reported(1_000_000, 1_020_001)
    assert reported(1_000_000, 1_000_001)
    assert not reported(1_000_001, 1_000_000), "it is crossed"
    assert reported(1_000_000, 1_000_001)
    marked.keep({USDC_USDT.id})
    assert "USDT" in known
    # It would be believed until the market is followed again, and until its next book then.
    marked.keep(())
    assert "USDT" not in known
