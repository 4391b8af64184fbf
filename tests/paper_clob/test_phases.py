"""What a bot is told when a market or the matching engine changes under it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from eth_account import Account

from tests.paper_clob.harness import CONDITION, KEYS, NO, WALLETS, YES, Live, exchange
from tests.paper_clob.trader import derived_key
from tests.support.clob_signer import LocalSigner
from tests.unit.venues.polymarket.test_trading_gateway import new_order
from tradingtools import clock
from tradingtools.domain.instrument import Instrument, TradingPhase
from tradingtools.tasks import run_in_background
from tradingtools.venues.polymarket.order_index import TradingWallet
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.polymarket.trading_wallet import (
    PolymarketVenue,
    PolymarketWallet,
    open_wallet,
)
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import NewOrder, OrderReport, OrderStatus, PhaseChange


class Told:
    """All phases and reports, and the instruments that they are about."""

    def __init__(self, wallet: PolymarketWallet, yes: Instrument, no: Instrument) -> None:
        self.wallet, self.yes, self.no = wallet, yes, no
        self.phases: list[PhaseChange] = []
        self.reports: list[OrderReport] = []

    def order(self) -> NewOrder:
        now = clock.now_ms()
        desired = new_order(order_id=f"phase{now}", price=400_000, expires_ms=now + 300_000)
        return replace(desired, instrument=self.yes)

    def of(self, instrument: Instrument) -> list[tuple[str, TradingPhase]]:
        mine = [one for one in self.phases if one.instrument.id == instrument.id]
        return [(one.cause, one.phase) for one in mine]

    async def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end, f"waited too long; told: {self.phases, self.reports}"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def reported(live: Live) -> AsyncIterator[Told]:
    address = WALLETS[0]
    async with httpx.AsyncClient() as client:
        api_key = await derived_key(client, live, KEYS[0], address)
    venue = PolymarketVenue(
        clob_url=live.url,
        gamma_url=f"{live.url}/gamma",
        data_url=f"{live.url}/data-api",
        sockets_url=f"{live.ws}/ws",
    )
    owner = TradingWallet(address=address, signer=address, signature_type=SignatureType.EOA)
    signer = LocalSigner(KEYS[0], api_key)
    async with open_wallet(venue, owner, api_key=api_key, signer=signer) as wallet:
        yes, no = await wallet.instruments.find([YES, NO])
        found = Told(wallet, yes, no)

        async def markets() -> None:
            async for event in wallet.markets.events([yes, no]):
                if isinstance(event, PhaseChange):
                    found.phases.append(event)

        async def account() -> None:
            async for event in wallet.accounts.events():
                if isinstance(event, OrderReport):
                    found.reports.append(event)

        async with run_in_background(markets()), run_in_background(account()):
            await live.until(lambda state: state["user_sockets"] == 1)
            yield found


async def test_a_restart_is_told_when_an_order_meets_it(tmp_path: Path) -> None:
    """Down as long as the venue says, then post-only; what rested before rests on."""
    async with exchange(tmp_path) as live, reported(live) as bot:
        await live.notify("/restart", ms=1_000)
        refused = await bot.wallet.orders.place(bot.order())
        assert (refused.meaning, refused.code) == (Meaning.NOT_ACCEPTED, "ENGINE_RESTART")
        desired = [("restart", TradingPhase.SUSPENDED), ("restart", TradingPhase.POST_ONLY)]
        await bot.until(lambda: bot.of(bot.yes) == bot.of(bot.no) == desired)
        assert (await bot.wallet.orders.place(bot.order())).meaning is Meaning.ACCEPTED


async def test_a_game_that_starts_wipes_the_orders_and_is_told(tmp_path: Path) -> None:
    async with exchange(tmp_path, market=False) as live:
        # The venue writes seconds.
        start = (clock.now_ms() // 1000 + 4) * 1000
        await live.notify("/markets", condition=CONDITION, assets=[YES, NO], game_start_ms=start)
        await live.notify("/wallets", wallet=Account.from_key(KEYS[0]).address, usdc="100")
        async with reported(live) as bot:
            first = bot.order()
            assert (await bot.wallet.orders.place(first)).meaning is Meaning.ACCEPTED
            started = [("game_start", TradingPhase.OPEN)]
            await bot.until(lambda: bot.of(bot.yes) == bot.of(bot.no) == started)
            await bot.until(lambda: bot.reports[-1].status is OrderStatus.CANCELLED)
            assert bot.reports[-1].order_id == first.order_id
            assert (await bot.wallet.orders.place(bot.order())).meaning is Meaning.ACCEPTED


async def test_a_resolution_tells_what_each_share_pays(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live, reported(live) as bot:
        await bot.wallet.orders.place(bot.order())
        await live.level("BUY", "0.3", "10")
        await live.notify("/resolve", condition=CONDITION, payouts=["0", "1"])
        await bot.until(lambda: len(bot.phases) == 2)
        pays = {one.instrument.id: one.instrument.payout for one in bot.phases}
        assert pays == {bot.yes.id: 0, bot.no.id: 1_000_000}
        assert {one.phase for one in bot.phases} == {TradingPhase.ENDED}
        await bot.until(lambda: bot.reports[-1].status is OrderStatus.CANCELLED)
