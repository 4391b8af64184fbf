"""Liquidations, deliveries and funding: booked for the bots that held what they are about."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import psycopg
import structlog

from services.bots.core import forced
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet, database_away
from tradingtools.domain.instrument import InstrumentKind
from tradingtools.venues.trading import Fill, FundingPayment, ReadError

FUNDING_SECONDS = 60.0
_log = structlog.get_logger("bots")


class Forced:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
        write: makes durable what the bots have.
    """

    def __init__(
        self, wallet: Wallet, sending: Sending, write: Callable[[], Awaitable[None]]
    ) -> None:
        self._wallet = wallet
        self._sending = sending
        self._write = write
        self._booking = asyncio.Lock()
        self._waiting: list[Fill] = []

    async def closed(self, fill: Fill) -> None:
        """Book a trade by which the exchange closed a position, once all bots are here."""
        # A trade's id is one of its instrument alone.
        symbol = fill.instrument_id.partition(":")[2]
        fill = replace(fill, trade_id=f"{symbol}:{fill.trade_id}")
        if fill not in self._waiting:
            self._waiting.append(fill)
        if self._wallet.whole.is_set():
            try:
                await self.settle()
            except psycopg.OperationalError as error:
                database_away("what the exchange has closed", error)

    async def settle(self) -> None:
        """Book what has waited for the bots to be here."""
        async with self._booking:
            while self._waiting:
                await self._book(self._waiting[0])
                del self._waiting[0]

    async def _book(self, fill: Fill) -> None:
        # By what is durable: who held what at that time, and whether it was booked before.
        await self._write()
        sizes = await self._wallet.store.held_before_forced(self._wallet.lease.wallet_id, fill)
        for bot_id, size in forced.closed_sizes(sizes, fill.side, fill.size).items():
            bot = self._wallet.bots.get(bot_id)
            if bot is None:
                _log.error("who bears it is not here", bot=bot_id, trade=fill.trade_id)
                continue
            fee = -(-fill.fee * size // fill.size)
            name = forced.order_id(fill.forced, bot_id)
            mine = replace(fill, order_id=name, size=size, fee=fee)
            self._sending.notify(bot, partial(bot.closed_by_exchange, mine))
            log = _log.error if fill.forced in forced.STOPS else _log.info
            log(
                "the exchange closed what a bot held",
                bot=bot_id,
                cause=fill.forced,
                instrument=fill.instrument_id,
                size=size,
            )
        await self._write()

    async def follow_funding(self) -> None:
        """Read and book funding payments for ever."""
        while True:
            await self._wallet.whole.wait()
            if any(self._pays(one) for bot in self._wallet.bots.values() for one in bot.holdings):
                try:
                    await self._read_funding()
                except psycopg.OperationalError as error:
                    database_away("funding", error)
            await asyncio.sleep(FUNDING_SECONDS)

    def _pays(self, instrument_id: str) -> bool:
        one = self._wallet.instruments.get(instrument_id)
        return one is not None and one.kind is InstrumentKind.SWAP

    async def _read_funding(self) -> None:
        store, wallet_id = self._wallet.store, self._wallet.lease.wallet_id
        since = await store.funding_since(wallet_id)
        if since is None:
            return
        try:
            payments = await self._wallet.venue.accounts.funding(since)
        except ReadError as error:
            _log.warning("funding was not read", why=str(error))
            return
        if payments:
            # By what is durable: what was filled just before has its part, too.
            await self._write()
        for one in payments:
            await self._pay(one)

    async def _pay(self, one: FundingPayment) -> None:
        store, wallet_id = self._wallet.store, self._wallet.lease.wallet_id
        sizes = await store.held_before_funding(wallet_id, one)
        amounts = forced.paid_amounts(sizes, one.amount)
        for bot_id in await store.funded(self._wallet.lease, one, amounts):
            bot = self._wallet.bots.get(bot_id)
            if bot is not None:
                bot.funded(one.instrument_id, amounts[bot_id])
