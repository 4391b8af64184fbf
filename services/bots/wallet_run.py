"""All bots of one wallet behind its one gateway, while the wallet is leased.

The account is the unit: limits, margin and self-trade prevention are its own. Before anything is
sent, open orders, fills and positions are read; the parts are in `services/bots/wallet`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import structlog

from services.bots import metrics
from services.bots.core.bot import AnyBot
from services.bots.core.requests import DEADLINE_MS
from services.bots.core.risk.worth import par
from services.bots.store import LostError, Store, WalletLease
from services.bots.wallet.account import Account
from services.bots.wallet.commands import Commands
from services.bots.wallet.forced import Forced
from services.bots.wallet.journal import Journal
from services.bots.wallet.markets import Markets
from services.bots.wallet.outcome_sets import WalletSets
from services.bots.wallet.oversight import Oversight
from services.bots.wallet.positions import Positions
from services.bots.wallet.resolutions import Resolutions
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Venue, Wallet
from services.bots.wallet.signals import Signals
from tradingtools import clock
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
from tradingtools.domain.bot_states import BotState
from tradingtools.tasks import cancel_all

__all__ = ["Venue", "WalletRun"]

TICK_SECONDS = 0.25
_log = structlog.get_logger("bots")


class WalletRun:
    """One leased wallet; see the module.

    Args:
        store: of the engine.
        lease: of the wallet.
        write_ms: how long changes wait to be written together.
        ran_out_ns: when the lease of the owner before ran out, by the monotonic clock; None: it did
            not.
    """

    def __init__(
        self, store: Store, lease: WalletLease, write_ms: int, *, ran_out_ns: int | None = None
    ) -> None:
        self._store = store
        self._ran_out_ns = ran_out_ns
        self._lease = lease
        self._write_ms = write_ms
        self._wallet: Wallet | None = None
        self._journal: Journal | None = None
        self._left = asyncio.Event()
        self._whole = asyncio.Event()
        self._withdraws = False
        self._clean = False
        self._unquoted_ms: dict[str, int] = {}
        """By bot, since when it wants orders and none stands."""

    @property
    def bots(self) -> int:
        """Return how many bots it has."""
        return 0 if self._wallet is None else len(self._wallet.bots)

    @property
    def trusted_ns(self) -> int:
        """Return when its account was known first, by the monotonic clock; 0: it is not yet."""
        return 0 if self._wallet is None else self._wallet.trusted_ns

    def look(self) -> metrics.WalletSnapshot | None:
        """Return how it stands just now, for metrics; None: it has no way to its exchange yet."""
        wallet = self._wallet
        if wallet is None:
            return None
        now, bots = clock.now_ms(), wallet.bots
        self._unquoted_ms = {
            key: self._unquoted_ms.get(key, now) for key, bot in bots.items() if bot.unquoted
        }
        trading = [bot for bot in bots.values() if bot.life is BotState.RUNNING]
        return metrics.WalletSnapshot(
            known=wallet.sound.is_set(),
            unquoted_ms=max((now - since for since in self._unquoted_ms.values()), default=0),
            doubted=len({one for bot in trading for one in bot.doubted}),
            free=wallet.venue.free(),
        )

    def renewed(self, lease: WalletLease) -> None:
        """Take the lease's new end."""
        self._lease = lease
        if self._wallet is not None:
            self._wallet.renewed(lease)

    async def know(self) -> None:
        """Wait until every bot that may have an order is here, and its orders have been read."""
        await self._whole.wait()

    def leave(self, *, withdraw: bool) -> None:
        """Let the run end: nothing new is placed, and answers to what is under way are waited for.

        Args:
            withdraw: cancel what rests, too, since nobody will look after it.
        """
        self._withdraws = withdraw
        self._left.set()

    async def run(self, venue: Venue) -> None:
        """Run the wallet until it is cancelled, or has left.

        Args:
            venue: its way to the exchange.

        Raises:
            LostError: it is another engine's.
        """
        tenant = await self._store.risk.tenant(self._lease.wallet_id)
        wallet = self._wallet = Wallet(
            store=self._store,
            lease=self._lease,
            venue=venue,
            tenant=tenant,
            rates=par(self._store.risk.par),
            ran_out_ns=self._ran_out_ns,
            whole=self._whole,
        )
        journal = self._journal = Journal(wallet, self._write_ms)
        sending = Sending(wallet, journal.flush)
        forced = Forced(wallet, sending, journal.flush)
        account = Account(wallet, sending, journal, forced)
        markets = Markets(wallet, sending)
        sets = WalletSets(wallet, sending, journal.flush)
        commands = Commands(wallet, sending, account, markets, journal, forced)
        # Some have ended meanwhile, and the exchange still tells how.
        venue.instruments.restore(await self._store.instruments(self._lease.wallet_id))
        deciding = _started(
            commands.follow(),
            _tick(wallet, sending, markets),
            Positions(wallet, sending, account, journal).follow(),
            Oversight(wallet, sending).follow(),
            forced.follow_funding(),
            Resolutions(wallet, sending).follow(),
            sets.follow(),
            Signals(wallet, sending).follow(),
        )
        following = _started(account.follow(), journal.keep())
        left = _started(self._left.wait())
        try:
            await _first_end(*deciding, *following, *left)
            self._clean = False
            known = wallet.sound.is_set() or wallet.lease.clean
            await sets.last_look()
            wallet.leave()
            await cancel_all(deciding)
            await commands.close()
            await markets.close()
            if self._withdraws:
                for bot in wallet.bots.values():
                    sending.notify(bot, bot.withdraw)
            settled = await _settled(wallet, sending)
            async with journal.writing:
                # Not in the middle of writing: what it has taken would be lost.
                await cancel_all(following)
            self._clean = known and settled
        finally:
            # Not by a group of asyncio's: that cancels once, and a connection that breaks at that
            # moment swallows it.
            await cancel_all([*deciding, *following, *left])
            await commands.close()
            await sending.close()
            await markets.close()

    async def close(self) -> bool:
        """Write what is not written yet, once nothing is sent any more.

        Returns:
            Whether nothing is under way at the exchange, and everything is written.
        """
        if self._journal is None:
            return self._lease.clean
        try:
            await self._journal.write()
            if self._wallet is not None:
                # Nothing has left unwritten; what a former owner sent may be unread still.
                lease, unread = self._wallet.lease, self._wallet.unread_ms
                bots = [bot_id for bot_id in self._wallet.bots if bot_id not in unread]
                await self._store.permits_read(bots, before=lease.epoch + 1)
        except LostError:
            _log.warning("wallet was another engine's at its end", wallet=self._lease.wallet_id)
            return False
        return self._clean


def _started(*works: Coroutine[None, None, object]) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(work) for work in works]


async def _first_end(*tasks: asyncio.Task[object]) -> None:
    """Wait until one ends. Raises what it died of; that the wallet is lost before all else."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    errors = [error for one in tasks if one.done() and (error := one.exception())]
    for error in sorted(errors, key=lambda one: not isinstance(one, LostError)):
        raise error


async def _settled(wallet: Wallet, sending: Sending) -> bool:
    """Wait until nothing is under way at the exchange; return False if it takes too long."""
    end = clock.monotonic_ns() + DEADLINE_MS * 1_000_000
    while sending.busy or any(map(_uncertain, wallet.bots.values())):
        if clock.monotonic_ns() >= end:
            return False
        await asyncio.sleep(0.01)
    return True


def _uncertain(bot: AnyBot) -> bool:
    return any(
        one.state in (BotOrderState.SUBMITTING, BotOrderState.UNKNOWN)
        or one.pending is not PendingRequest.NONE
        for one in bot.orders.values()
    )


async def _tick(wallet: Wallet, sending: Sending, markets: Markets) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        markets.check()
        sending.check()
        for bot in list(wallet.bots.values()):
            bot.oppose(wallet.opposed(bot))
            sending.notify(bot, bot.tick)
