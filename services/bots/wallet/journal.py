"""The orders, fills and standings of bots, written to the database behind the wire.

What bots have handed out is kept until it is written, however long the database is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace

import psycopg
import structlog

from services.bots.core.bot import AnyBot
from services.bots.core.profit import PnlPoint
from services.bots.core.requests import Written
from services.bots.store import BotSnapshot, Settings
from services.bots.strategies import registry
from services.bots.wallet.shared import Wallet, database_away
from tradingtools import clock

STANDING_SECONDS = 1.0
_log = structlog.get_logger("bots")
MINUTE_MS = 60_000


class Journal:
    """See the module.

    Args:
        wallet: whose bots they are.
        write_ms: how long changes wait to be written together.
    """

    def __init__(self, wallet: Wallet, write_ms: int) -> None:
        self._wallet = wallet
        self._write_seconds = write_ms / 1000
        self._minutes: dict[str, int] = {}
        self._settings: dict[str, Settings] = {}
        """By bot, those that are written."""
        self._unwritten: list[tuple[str, Written, Mapping[str, int | None]]] = []
        """What bots have handed out and is not known to be written, oldest first."""
        self._doubtful = False
        """The last write was not answered: what it was about may be written."""
        self.writing = asyncio.Lock()
        """Held while what is settled is neither in a bot nor in the database."""

    async def keep(self) -> None:
        """Write for ever."""
        due = clock.now_ms()
        while True:
            await asyncio.sleep(self._write_seconds)
            whole = clock.now_ms() >= due
            if whole:
                due = clock.now_ms() + int(STANDING_SECONDS * 1000)
            try:
                await self.write(standings=whole)
            except psycopg.OperationalError as error:
                database_away("what bots have done", error)

    @asynccontextmanager
    async def settled(self) -> AsyncIterator[None]:
        """Hold everything that bots have let go of in the database for the length of the block.

        Raises:
            LostError: the wallet is another engine's.
            psycopg.Error: it cannot be written.
        """
        async with self.writing:
            if self._unwritten:
                await self._write(standings=False)
            yield

    async def flush(self) -> None:
        """Write what changed; see `write`."""
        await self.write(standings=False)

    async def write(self, *, standings: bool = True) -> None:
        """Write what changed; with the standings of all bots, or of those that changed.

        Raises:
            LostError: the wallet is another engine's.
        """
        async with self.writing:
            await self._write(standings=standings)

    async def _write(self, *, standings: bool) -> None:
        bots, now = self._wallet.bots, clock.now_ms()
        for bot_id, bot in bots.items():
            taken = bot.written()
            if taken.orders or taken.fills or taken.moves:
                marks = {one: bot.mid(one) for one in bot.setup.instruments}
                self._unwritten.append((bot_id, taken, marks))
        # A strategy's state goes with the orders and fills that made it: else a death between
        # them would have it want the same again.
        changed = {bot_id for bot_id, one, _ in self._unwritten if one.orders or one.fills}
        due = [bot for bot_id, bot in bots.items() if standings or bot_id in changed]
        rows = [one for bot in due if (one := self._standing(bot, now)) is not None]
        points = [(bot_id, one) for bot_id, bot in bots.items() for one in self._due(bot, now)]
        await self._put(rows, points)
        self._minutes.update((bot_id, now // MINUTE_MS) for bot_id, _ in points)
        self._settings.update((one.bot_id, one.settings) for one in rows if one.settings)
        reported = {one.bot_id for one in rows}
        for bot in due:
            if bot.setup.bot_id in reported:
                bot.shares_written()

    async def _put(
        self, rows: Sequence[BotSnapshot], points: Sequence[tuple[str, PnlPoint]]
    ) -> None:
        try:
            await self._wallet.store.write(
                self._wallet.lease, self._unwritten, rows, points, again=self._doubtful
            )
        except BaseException:
            self._doubtful = True
            raise
        self._unwritten.clear()
        self._doubtful = False

    def _due(self, bot: AnyBot, now_ms: int) -> tuple[PnlPoint, ...]:
        """Return what a bot has made, once a minute."""
        if self._minutes.get(bot.setup.bot_id) == now_ms // MINUTE_MS:
            return ()
        try:
            return bot.pnl(registry.sources(bot.state), now_ms)
        except Exception as error:  # noqa: BLE001 - one bot must not stop a wallet's others
            _log.error("what a bot has made is not known", bot=bot.setup.bot_id, exc_info=error)
            return ()

    def _standing(self, bot: AnyBot, now_ms: int) -> BotSnapshot | None:
        """Return where a bot stands; None: its strategy cannot say it, which ends it."""
        try:
            known = bot.setup.bot_id not in self._wallet.unread_ms
            found = _standing(bot, now_ms, live=self._wallet.venue.live, known=known)
            settings = self._wallet.settings.get(found.bot_id)
            new = settings is not None and settings != self._settings.get(found.bot_id)
            fits = settings is not None and settings.version == found.version
            return replace(found, settings=settings) if new and fits else found
        except Exception as error:  # noqa: BLE001 - one bot must not stop a wallet's others
            if bot.failure is None:
                _log.error("a bot cannot say where it stands", bot=bot.setup.bot_id, exc_info=error)
                bot.defect(error)
            return None


def _standing(bot: AnyBot, now_ms: int, *, live: bool, known: bool) -> BotSnapshot:
    equity = bot.equity
    return BotSnapshot(
        bot_id=bot.setup.bot_id,
        number=bot.number,
        strategy=registry.snapshot(bot.state),
        explanation=bot.explain(now_ms),
        holdings=bot.holdings,
        equity=None if equity is None else asdict(equity),
        shares=bot.retained_shares(now_ms, known=known),
        result_micros=bot.result_micros(now_ms),
        positions=bot.positions(),
        version=bot.setup.version,
        live=live,
    )
