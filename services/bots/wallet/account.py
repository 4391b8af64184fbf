"""The account of a wallet: read before anything is sent, then followed as its venue tells it.

Orders of strangers are left alone and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import structlog

from services.bots.core.bot import AnyBot
from services.bots.core.requests import DEADLINE_MS
from services.bots.wallet.making import found_order
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet, answered
from tradingtools import clock
from tradingtools.domain.bot_order_states import BotOrderState
from tradingtools.venues.trading import (
    AccountEvent,
    AccountState,
    Connected,
    Disconnected,
    Fill,
    OrderReport,
)

FILLS_BEFORE_MS = 600_000
"""Fills are read again from so long before the last one that was written."""
CLOCK_ERROR_MS = 500
_log = structlog.get_logger("bots")


class Account:
    """See the module.

    Args:
        wallet: whose account it is.
        sending: of the wallet.
        writing: held while what is settled is neither in a bot nor in the database.
    """

    def __init__(self, wallet: Wallet, sending: Sending, writing: asyncio.Lock) -> None:
        self._wallet = wallet
        self._sending = sending
        self._writing = writing
        self._strangers: set[str] = set()
        self._undone: set[tuple[str, str]] = set()

    async def follow(self) -> None:
        """Read the account, then hear what happens to it, for ever."""
        if self._wallet.lease.epoch > 1:
            # What a former owner had under way has arrived or is void by then.
            await asyncio.sleep((DEADLINE_MS + CLOCK_ERROR_MS) / 1000)
        async for event in self._wallet.venue.accounts.events():
            if isinstance(event, Connected):
                await self.read()
                self._wallet.trust()
            elif isinstance(event, Disconnected):
                # Orders may fill unseen: nothing is placed until the account has been read again.
                self._wallet.withhold()
            else:
                await self._hear(event)

    async def _hear(self, event: AccountEvent) -> None:
        if isinstance(event, Fill):
            bot = self._wallet.owner(event.order_id)
            if bot is not None and event.undone and event.order_id not in bot.orders:
                await self._undo(bot, event)
            elif bot is not None:
                self._sending.tell(bot, partial(bot.filled, event))
        elif isinstance(event, OrderReport):
            bot = self._wallet.owner(event.order_id)
            if bot is not None:
                self._sending.tell(bot, partial(bot.reported, event))
        elif isinstance(event, AccountState):
            self._wallet.account = event
            for bot in self._wallet.bots.values():
                self._sending.tell(bot, partial(bot.account, event))

    async def _undo(self, bot: AnyBot, fill: Fill) -> None:
        """Book back a fill of an order that is settled: its trade has failed since."""
        key = fill.order_id, fill.trade_id
        async with self._writing:
            if key in self._undone or not await self._wallet.store.undoable(fill):
                return
            self._undone.add(key)
        self._sending.tell(bot, partial(bot.undone, fill))

    async def read(self) -> None:
        """Read what was missed: fills first, so that no end comes before what it filled."""
        accounts, asked = self._wallet.venue.accounts, clock.now_ms()
        fills = await answered(accounts.fills, self._unread_since(asked))
        standing = await answered(accounts.open_orders)
        async with self._writing:
            # What is settled and being written is neither here nor in the database yet.
            await self._adopt(fills)
        for fill in fills:
            await self._hear(fill)
        for report in standing:
            bot = self._wallet.owner(report.order_id)
            if bot is not None:
                self._sending.tell(bot, partial(bot.reported, report, read_ms=asked))
        self._tell_strangers(standing)
        named = {report.order_id for report in standing}
        for bot in self._wallet.bots.values():
            for order_id, order in list(bot.orders.items()):
                if order_id not in named and order.state is not BotOrderState.INTENDED:
                    self._sending.look(bot, bot.named(order, clock.now_ms()))

    def _unread_since(self, now_ms: int) -> int:
        """Return since when fills may be unread: what rests may have filled at any time."""
        sent = [
            order.order.not_after_ms
            for bot in self._wallet.bots.values()
            for order in bot.orders.values()
        ]
        return min([self._wallet.booked_ms or now_ms, *sent]) - FILLS_BEFORE_MS

    async def _adopt(self, fills: Sequence[Fill]) -> None:
        """Give a bot the orders that left under its permits, filled, and were not written."""
        missing: dict[str, Fill] = {}
        for fill in fills:
            bot = self._wallet.owner(fill.order_id)
            if bot is not None and fill.order_id not in bot.orders:
                before = missing.get(fill.order_id)
                size = fill.size + (before.size if before is not None else 0)
                missing[fill.order_id] = replace(fill, size=size)
        written = await self._wallet.store.written(list(missing))
        for order_id, fill in missing.items():
            bot = self._wallet.owner(order_id)
            instrument = self._wallet.instruments.get(fill.instrument_id)
            if order_id not in written and bot is not None and instrument is not None:
                bot.adopt(found_order(order_id, instrument, fill.side, fill.price, fill.size))

    def _tell_strangers(self, standing: Iterable[OrderReport]) -> None:
        for report in standing:
            known = report.venue_order_id in self._strangers
            if known or self._wallet.owner(report.order_id) is not None:
                continue
            self._strangers.add(report.venue_order_id)
            _log.warning(
                "a stranger's order rests in this account; it is left alone",
                wallet=self._wallet.lease.wallet_id,
                instrument=report.instrument_id,
                venue_order=report.venue_order_id,
            )
