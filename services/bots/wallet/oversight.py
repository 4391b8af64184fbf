"""Limits of many bots, obeyed by those of a wallet: looked at each second, and acted on by a table.

When nothing has been read of them for a while, or the lease has run out, nothing opens, and what
rests and would open is cancelled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from functools import partial

import psycopg
import structlog

from services.bots.core.bot import AnyBot
from services.bots.core.risk import Breach, Closed, RiskAction, RiskLimit, market_of
from services.bots.core.risk import breach as risk_breach
from services.bots.core.risk.worth import currency_of, no_rate
from services.bots.risk_store import VIEW_SECONDS, reported
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet
from tradingtools import clock
from tradingtools.domain.portfolio_risk import LimitReached, ScopeLimit, Share
from tradingtools.tasks import until_one_ends
from tradingtools.venues.ports import Side

BLIND_SECONDS = 5.0
"""Age at which the last reading of limits is too old: nothing opens."""
_SIDES: tuple[Side, Side] = ("BUY", "SELL")
_STOPS = (RiskAction.CANCEL_AND_STOP, RiskAction.FLATTEN_AND_STOP)
_TOLD = (RiskLimit.MAX_FUNDING_RATE, RiskLimit.MAX_MARKET_LOSS)
"""Limits of a bot of which nothing else tells."""
_log = structlog.get_logger("bots")


class Oversight:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
    """

    def __init__(self, wallet: Wallet, sending: Sending) -> None:
        self._wallet = wallet
        self._sending = sending
        self._read_at = time.monotonic()
        self._reached: tuple[LimitReached, ...] = ()
        self._reported: dict[str, frozenset[RiskLimit | ScopeLimit]] = {}

    async def follow(self) -> None:
        """Look and act for ever."""
        # A database that stands still must not keep anybody from acting on that.
        await until_one_ends(self._keep_acting(), self._keep_reading())

    async def _keep_acting(self) -> None:
        while True:
            self._act()
            await asyncio.sleep(VIEW_SECONDS)

    async def _keep_reading(self) -> None:
        while True:
            try:
                view = await self._wallet.store.risk.view(self._wallet.tenant)
                self._reached, self._read_at = tuple(view.reached), view.read_at
                await self._notify()
            except psycopg.Error as error:
                _log.warning("limits of many bots were not read", why=str(error))
            await asyncio.sleep(VIEW_SECONDS)

    def _act(self) -> None:
        why = self._why_blind()
        for bot in list(self._wallet.bots.values()):
            closed, stops = self._blind(bot, why) if why else self._judged(bot, self._reached)
            closed = {**self._unrated(bot), **closed}
            self._sending.notify(bot, partial(bot.oversee, closed, stops))

    def _why_blind(self) -> str:
        """Return why nothing may open; empty: it may."""
        if time.monotonic() - self._read_at > BLIND_SECONDS:
            return "the limits of many bots cannot be read"
        if clock.now_ms() >= self._wallet.lease.until_ms:
            # Nothing can be moved any more: what would open must not stand at a price of before.
            return "the lease of the wallet has run out"
        return ""

    async def _notify(self) -> None:
        """Tell of limits of a bot that let nothing open, once until they are reached anew."""
        for bot_id, bot in list(self._wallet.bots.items()):
            now = {one.limit: one for one in bot.closing_limits if one.limit in _TOLD}
            new = [one for limit, one in now.items() if limit not in self._reported.get(bot_id, ())]
            if new:
                await self._wallet.store.risk.notify_closed(bot_id, new)
            self._reported[bot_id] = frozenset(now)

    def _judged(
        self, bot: AnyBot, reached: Iterable[LimitReached]
    ) -> tuple[Closed, tuple[Breach, ...]]:
        closed: Closed = {}
        stops: list[Breach] = []
        for found in reached:
            breach = Breach(limit=found.limit, action=found.action, detail=reported(found))
            concerned = [one for one in self._shares(bot) if found.concerns(one)]
            if concerned and found.action in _STOPS:
                stops.append(breach)
            closed.update({(one.instrument_id, s): breach for one in concerned for s in _SIDES})
        return closed, tuple(stops)

    def _blind(self, bot: AnyBot, detail: str) -> tuple[Closed, tuple[Breach, ...]]:
        why = Breach(
            limit=ScopeLimit.STALE_USAGE,
            action=RiskAction.REDUCE_ONLY,
            detail=detail,
        )
        return {(one, side): why for one in bot.setup.instruments for side in _SIDES}, ()

    def _unrated(self, bot: AnyBot) -> Closed:
        """Return what nothing opens in because nobody knows its worth in USDC."""
        if bot.setup.shares is None:
            return {}
        return {
            (one.id, side): risk_breach(RiskLimit.STALE_MARKS, no_rate(one))
            for one in bot.setup.instruments.values()
            if currency_of(one) not in self._wallet.rates
            for side in _SIDES
        }

    def _shares(self, bot: AnyBot) -> Iterable[Share]:
        for instrument in bot.setup.instruments.values():
            yield Share(
                bot_id=bot.setup.bot_id,
                wallet_id=self._wallet.lease.wallet_id,
                instrument_id=instrument.id,
                market=market_of(instrument),
            )
