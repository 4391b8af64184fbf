"""The kill switch, obeyed by the bots of a wallet: cancel, flatten, sweep again, then say done.

A request that left a moment before may still arrive, whoever sent it. So the second sweep waits
until after the last instant at which any could: the end of the last permit and the venue's horizon.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import structlog

from services.bots.core.bot import AnyBot
from services.bots.core.orders import LATE_ARRIVAL_MS, last_arrival_ms
from services.bots.core.risk import Breach, RiskLimit, breach
from services.bots.risk_store import Kill
from services.bots.wallet.account import CLOCK_ERROR_MS, Account
from services.bots.wallet.making import found_order
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet, answered
from tradingtools import clock
from tradingtools.venues.trading import OrderReport

_log = structlog.get_logger("bots")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The way of a wallet through a kill switch."""

    phase: str
    bots: int
    orders: int
    holdings: int
    last_arrival_ms: int | None = None
    detail: str = ""


class Killing:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
        account: of the wallet.
    """

    def __init__(self, wallet: Wallet, sending: Sending, account: Account) -> None:
        self._wallet = wallet
        self._sending = sending
        self._account = account
        self._last_ms: int | None = None
        self._kill_id = ""
        """The kill switch that it is the last arrival for."""

    def stop(self, bot: AnyBot, kill: Kill) -> None:
        """Have a bot cancel everything and close what it holds."""
        self._sending.notify(bot, lambda now: bot.kill(breach_of(kill), now))

    async def step(self, kill: Kill) -> None:
        """Go on with a kill switch, all bots of the wallet being here and stopped.

        Raises:
            LostError: the wallet is another engine's.
        """
        progress = self._progress()
        left = progress.orders or progress.holdings
        if left or kill.kill_id != self._kill_id:
            self._last_ms, self._kill_id = None, kill.kill_id
        if not left:
            progress = await self._swept(progress)
        await self._wallet.store.kill_step(self._wallet.lease, kill, **asdict(progress))

    def _progress(self) -> Progress:
        bots = self._wallet.bots.values()
        orders = sum(not one.settled for bot in bots for one in bot.orders.values())
        return Progress(
            phase="CANCELLING" if orders else "FLATTENING",
            bots=len(bots),
            orders=orders,
            holdings=sum(not bot.flat for bot in bots),
            detail=self._left(),
        )

    async def _swept(self, progress: Progress) -> Progress:
        now = clock.now_ms()
        if self._last_ms is None:
            self._last_ms = await self._last_arrival(now)
        done = now > self._last_ms and await self._sweep()
        return Progress(
            phase="DONE" if done else "SECOND_SWEEP",
            bots=progress.bots,
            orders=progress.orders,
            holdings=progress.holdings,
            last_arrival_ms=self._last_ms,
            detail=self._left(),
        )

    async def _last_arrival(self, now_ms: int) -> int:
        """Return the last instant at which anything that left for this wallet could arrive."""
        able = self._wallet.venue.gateway.capabilities
        until = await self._wallet.store.risk.last_permit_ms(self._wallet.lease.wallet_id)
        rests = 0 if able.not_after else (able.rests_for_ms or LATE_ARRIVAL_MS)
        last = max(now_ms, until or 0) + rests + able.horizon_ms
        sent = [
            last_arrival_ms(one, able)
            for bot in self._wallet.bots.values()
            for one in bot.orders.values()
        ]
        return max([last, *sent]) + CLOCK_ERROR_MS

    async def _sweep(self) -> bool:
        """Read the account once more; return whether nothing was found."""
        await self._account.read()
        found = False
        for report in await answered(self._wallet.venue.accounts.open_orders):
            bot = self._wallet.owner(report.order_id)
            if bot is not None:
                found = True
                self._take(bot, report)
        if found:
            _log.warning("the second sweep found orders", wallet=self._wallet.lease.wallet_id)
        bots = self._wallet.bots.values()
        if not found and all(bot.quiet and bot.flat for bot in bots):
            return True
        self._last_ms = None
        return False

    def _take(self, bot: AnyBot, report: OrderReport) -> None:
        """Give a bot an order of its own that it does not know, so that it cancels it."""
        instrument = self._wallet.instruments.get(report.instrument_id)
        if report.order_id not in bot.orders and instrument is not None:
            bot.adopt(
                found_order(report.order_id, instrument, report.side, report.price, report.size)
            )
        requested = clock.now_ms()
        self._sending.notify(bot, lambda now: bot.reported(report, now, read_ms=requested))

    def _left(self) -> str:
        """Return what is held still, in words."""
        found = [
            f"{bot.instruments[key].size_text(size)} {key}"
            for bot in self._wallet.bots.values()
            for key, size in sorted(bot.left.items())
        ]
        return f"still held: {', '.join(found)}" if found else ""


def breach_of(kill: Kill) -> Breach:
    """Return the breach with which a kill switch stops a bot."""
    return breach(RiskLimit.KILL_SWITCH, kill.reason)
