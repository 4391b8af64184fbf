"""All bots of one wallet behind its one gateway, while the wallet is leased.

The account is the unit: limits, margin and self-trade prevention are its own. Before anything is
sent, open orders, fills and positions are read; the parts are in `services/bots/wallet`.
"""

from __future__ import annotations

import asyncio

import structlog

from services.bots.core.risk.worth import par
from services.bots.store import LostError, Store, WalletLease
from services.bots.wallet.account import Account
from services.bots.wallet.journal import Journal
from services.bots.wallet.markets import Markets
from services.bots.wallet.oversight import Oversight
from services.bots.wallet.positions import Positions
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Venue, Wallet
from services.bots.wallet.wishes import Wishes

__all__ = ["Venue", "WalletRun"]

TICK_SECONDS = 0.25
_log = structlog.get_logger("bots")


class WalletRun:
    """One leased wallet; see the module.

    Args:
        store: of the engine.
        lease: of the wallet.
        write_ms: how long changes wait to be written together.
    """

    def __init__(self, store: Store, lease: WalletLease, write_ms: int) -> None:
        self._store = store
        self._lease = lease
        self._write_ms = write_ms
        self._wallet: Wallet | None = None
        self._journal: Journal | None = None

    @property
    def bots(self) -> int:
        """Return how many bots it has."""
        return 0 if self._wallet is None else len(self._wallet.bots)

    def renewed(self, lease: WalletLease) -> None:
        """Take the lease's new end."""
        self._lease = lease
        if self._wallet is not None:
            self._wallet.renewed(lease)

    async def run(self, venue: Venue) -> None:
        """Run the wallet until it is cancelled.

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
        )
        journal = self._journal = Journal(wallet, self._write_ms)
        sending = Sending(wallet, journal.flush)
        account = Account(wallet, sending, journal.writing, journal.flush)
        markets = Markets(wallet, sending)
        wishes = Wishes(wallet, sending, account, markets, journal)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(account.follow())
                group.create_task(wishes.follow())
                group.create_task(_tick(wallet, sending, markets))
                group.create_task(journal.keep())
                group.create_task(Positions(wallet, sending).follow())
                group.create_task(Oversight(wallet, sending).follow())
        except BaseExceptionGroup as group_:
            lost = group_.subgroup(LostError)
            if lost is not None:
                raise LostError(wallet.lease.wallet_id) from None
            raise
        finally:
            await wishes.close()
            await sending.close()
            await markets.close()

    async def close(self) -> None:
        """Write what is not written yet, once nothing is sent any more."""
        if self._journal is None:
            return
        try:
            await self._journal.write()
            if self._wallet is not None:
                # Nothing has left that is not written.
                lease, bots = self._wallet.lease, list(self._wallet.bots)
                await self._store.permits_read(bots, before=lease.epoch + 1)
        except LostError:
            _log.warning("wallet was another engine's at its end", wallet=self._lease.wallet_id)


async def _tick(wallet: Wallet, sending: Sending, markets: Markets) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        markets.check()
        sending.check()
        for bot in list(wallet.bots.values()):
            sending.tell(bot, bot.tick)
