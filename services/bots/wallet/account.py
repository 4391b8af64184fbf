"""The account of a wallet: read before anything is sent, then followed as its venue tells it.

Orders of strangers are left alone and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import psycopg
import structlog

from services.bots.core.bot import AnyBot
from services.bots.core.orders import BotOrder
from services.bots.core.requests import DEADLINE_MS
from services.bots.wallet.forced import Forced
from services.bots.wallet.journal import Journal
from services.bots.wallet.making import found_order, instrument_of
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet, answered, database_away, outlast
from tradingtools import clock
from tradingtools.domain.bot_order_states import ENDED, BotOrderState
from tradingtools.venues.trading import (
    AccountEvent,
    AccountState,
    Connected,
    Disconnected,
    Fill,
    Liquidation,
    OrderReport,
    OrderStatus,
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
        journal: makes durable what the bots have.
        forced: books what the exchange does by itself.
    """

    def __init__(
        self,
        wallet: Wallet,
        sending: Sending,
        journal: Journal,
        forced: Forced,
    ) -> None:
        self._wallet = wallet
        self._sending = sending
        self._journal = journal
        self._forced = forced
        self._reading = asyncio.Lock()
        self._started = self._done = 0
        """Numbers of the last readings that began, and that ended."""
        self._strangers: set[str] = set()
        self._standing: Sequence[OrderReport] = ()
        self._complete = False
        self._aside: list[Fill | OrderReport] = []
        """Told while the database was away, of orders that nobody here remembers."""

    async def follow(self) -> None:
        """Read the account, then hear what happens to it, for ever."""
        if not self._wallet.lease.clean:
            await asyncio.sleep(self._void_ms() / 1000)
        wallet = self._wallet
        async for event in wallet.venue.accounts.events():
            if isinstance(event, Connected):
                if wallet.bots:
                    await outlast(self.read, "the reading of the account")
                # Else each bot that begins has it read, before it trades.
                wallet.trust()
            elif isinstance(event, Disconnected):
                # Orders may fill unseen: nothing is placed until the account has been read again.
                wallet.withhold()
            else:
                await self._hear(event)

    def _void_ms(self) -> int:
        """Return after how long what a former owner had under way has arrived or is void."""
        ran_out = self._wallet.ran_out_ns
        if ran_out is None or not self._wallet.venue.gateway.capabilities.not_after:
            return DEADLINE_MS + CLOCK_ERROR_MS
        # No request that its venue takes after the lease has left at all.
        passed_ms = (clock.monotonic_ns() - ran_out) // 1_000_000
        return max(CLOCK_ERROR_MS - passed_ms, 0)

    async def _hear(self, event: AccountEvent) -> None:
        if isinstance(event, Fill) and event.forced:
            await self._forced.closed(event)
        elif isinstance(event, Fill | OrderReport):
            try:
                await self._hear_of_order(event)
            except psycopg.OperationalError as error:
                database_away("what is told of an order that was let go of", error)
                self._aside.append(event)
        elif isinstance(event, AccountState):
            self._wallet.account = event
            for one in self._wallet.bots.values():
                self._sending.notify(one, partial(one.account, event))
        elif isinstance(event, Liquidation):
            _log.warning(
                "the exchange warns of a liquidation, or did it",
                wallet=self._wallet.lease.wallet_id,
                instrument=event.instrument_id,
                cause=event.cause,
                detail=event.detail,
            )

    async def _hear_of_order(self, event: Fill | OrderReport) -> None:
        bot = self._wallet.owner(event.order_id)
        if bot is None:
            return
        if event.order_id not in bot.orders:
            await self._find_again([event])
        self._notify(bot, event)

    def rests(self, order_id: str) -> bool:
        """Return whether an order rested when the account was read last."""
        return any(one.order_id == order_id for one in self._standing)

    async def catch_up(self) -> None:
        """Take what was put aside. Raises psycopg.OperationalError: the database is away still."""
        while self._aside:
            await self._hear_of_order(self._aside[0])
            del self._aside[0]

    def _notify(self, bot: AnyBot, event: Fill | OrderReport) -> None:
        take = bot.filled if isinstance(event, Fill) else bot.reported
        self._sending.notify(bot, partial(take, event))  # type: ignore[arg-type]

    async def read(self) -> None:
        """Read what was missed: fills first, so that no end comes before what it filled.

        Bots that wait for their turn share one reading: it begins after all of them are here.
        """
        requested = self._started
        async with self._reading:
            if self._done > requested:
                return
            # Those that began together are here by then.
            await asyncio.sleep(0)
            self._started += 1
            number = self._started
            await self._read()
            self._done = number
            self._wallet.trusted_ns = self._wallet.trusted_ns or clock.monotonic_ns()

    async def _read(self) -> None:
        accounts, requested = self._wallet.venue.accounts, clock.now_ms()
        # Of bots that are here by now: their permits are read when this is.
        unread = [one for one in self._wallet.unread_ms if one in self._wallet.bots]
        self._sending.register_order()
        fills = await answered(accounts.fills, self._unread_since(requested))
        standing = await answered(accounts.open_orders)
        await self._find_again([*fills, *standing])
        for fill in fills:
            bot = self._wallet.owner(fill.order_id)
            if fill.forced:
                await self._forced.closed(fill)
            elif bot is not None:
                self._notify(bot, fill)
        for report in standing:
            bot = self._wallet.owner(report.order_id)
            if bot is not None:
                self._sending.notify(bot, partial(bot.reported, report, read_ms=requested))
        self._standing = standing
        self._report_foreign()
        named = {report.order_id for report in standing}
        for bot in self._wallet.bots.values():
            for order_id, order in list(bot.orders.items()):
                if order_id not in named and order.state is not BotOrderState.INTENDED:
                    self._sending.look(bot, bot.named(order, clock.now_ms()))
        await self._now_known(unread)

    async def _now_known(self, unread: Sequence[str]) -> None:
        known = [one for one in unread if one in self._wallet.bots]
        if not known:
            return
        # Once it is written what they have: a death before that has to read all of it again.
        await self._journal.flush()
        await self._wallet.store.permits_read(known, before=self._wallet.lease.epoch)
        for bot_id in known:
            self._wallet.unread_ms.pop(bot_id, None)

    def _unread_since(self, now_ms: int) -> int:
        """Return since when fills may be unread.

        What rests may have filled at any time, and what left under a permit that nobody has read
        the end of may have filled since the permit was given.
        """
        sent = [
            order.order.not_after_ms
            for bot in self._wallet.bots.values()
            for order in bot.orders.values()
        ]
        unread = self._wallet.unread_ms.values()
        return min([self._wallet.booked_ms or now_ms, *sent, *unread]) - FILLS_BEFORE_MS

    async def _find_again(self, events: Sequence[Fill | OrderReport]) -> None:
        """Give bots back the orders of which something new is told, whoever let go of them.

        One that is settled and let go of is recalled when it filled more, or less, than is booked.
        One that nobody has written left under a permit of a former life: it is adopted, and ended.
        """
        missing: dict[str, list[Fill | OrderReport]] = {}
        for event in events:
            bot = self._wallet.owner(event.order_id)
            if bot is not None and event.order_id not in bot.orders:
                missing.setdefault(event.order_id, []).append(event)
        if not missing:
            return
        async with self._journal.settled():
            # Else what is settled is neither here nor in the database yet.
            written = await self._wallet.store.orders(list(missing))
        for order_id, about in missing.items():
            bot = self._wallet.owner(order_id)
            if bot is None or order_id in bot.orders:
                continue
            slot, order = written.get(order_id, ("", None))
            if order is None:
                await self._adopt(bot, order_id, about)
            elif any(_is_news(order, one) for one in about):
                bot.restore(slot, order)

    async def _adopt(self, bot: AnyBot, order_id: str, about: Sequence[Fill | OrderReport]) -> None:
        one = about[0]
        instrument = await instrument_of(self._wallet, one.instrument_id)
        reported = [event.size for event in about if isinstance(event, OrderReport)]
        filled = sum(event.size for event in about if isinstance(event, Fill))
        size = max([*reported, filled])
        bot.adopt(found_order(order_id, instrument, one.side, one.price, size))

    async def complete(self) -> None:
        """Tell strangers' orders from now on: every bot of the wallet is here."""
        if self._complete:
            return
        if not self._done:
            await self.read()
        self._complete = True
        self._report_foreign()

    def _report_foreign(self) -> None:
        if not self._complete:
            return
        for report in self._standing:
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


def _is_news(order: BotOrder, reported: Fill | OrderReport) -> bool:
    """Return whether a message says more of an order that is settled than is known of it."""
    if isinstance(reported, Fill):
        known = order.undone if reported.undone else {**order.fills, **order.undone}
        return reported.trade_id not in known
    if order.state not in ENDED:
        return True
    never_was = order.state in (BotOrderState.LOST, BotOrderState.REJECTED)
    if never_was:
        return reported.status is not OrderStatus.REJECTED
    return reported.filled_size > order.filled + sum(order.undone.values())
