"""People's wishes for the bots of a wallet: read now and then, and done."""

from __future__ import annotations

import asyncio

import structlog

from services.bots.core.bot import AnyBot
from services.bots.store import BotRow
from services.bots.wallet.account import Account
from services.bots.wallet.journal import Journal
from services.bots.wallet.making import SetupError, make
from services.bots.wallet.markets import Markets
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet
from tradingtools import clock
from tradingtools.domain import strategies
from tradingtools.domain.bot_states import ACTIVE, BotState

LOOK_SECONDS = 0.5
_STOPS = frozenset(
    {
        (BotState.PAUSING, "STOPPED"),
        (BotState.PAUSING, "IDLE"),
        (BotState.PAUSED, "STOPPED"),
    }
)
"""States and wishes from which a bot goes on to stop."""
_RESTED = frozenset({BotState.RISK_STOPPED, BotState.ERROR})
"""States that only a person ends, by STARTING."""
_log = structlog.get_logger("bots")


class Wishes:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
        account: of the wallet.
        markets: of the wallet.
        journal: of the wallet.
    """

    def __init__(
        self, wallet: Wallet, sending: Sending, account: Account, markets: Markets, journal: Journal
    ) -> None:
        self._wallet = wallet
        self._store = wallet.store
        self._sending = sending
        self._account = account
        self._markets = markets
        self._journal = journal
        self._numbers: dict[str, int] = {}

    async def follow(self) -> None:
        """Do what people want, once the account is known, for ever."""
        await self._wallet.sound.wait()
        while True:
            for row in await self._store.bots(self._wallet.lease.wallet_id):
                await self._follow(row)
            await self._markets.follow()
            await asyncio.sleep(LOOK_SECONDS)

    async def _follow(self, row: BotRow) -> None:
        bot = self._wallet.bots.get(row.bot_id)
        if bot is None:
            await self._begin(row)
            return
        if row.state is BotState.STARTING and bot.life in _RESTED:
            # A person has it go on: from the start, once nothing of it may fill any more.
            if bot.quiet:
                await self._again(row)
            return
        if bot.life is not row.state:
            await self._moved(bot, row)
            return
        if row.state is BotState.RUNNING and row.desired in ("PAUSED", "STOPPED", "IDLE"):
            paused = row.desired == "PAUSED"
            self._end(bot, BotState.PAUSING if paused else BotState.STOPPING)
        elif (row.state, row.desired) in _STOPS:
            self._end(bot, BotState.STOPPING)
        elif row.state in (BotState.PAUSING, BotState.STOPPING) and bot.quiet:
            bot.life = BotState.PAUSED if row.state is BotState.PAUSING else BotState.STOPPED
            await self._moved(bot, row)
        elif row.desired == "RUNNING" and row.state in (BotState.PAUSED, BotState.STOPPED):
            await self._again(row)

    def _end(self, bot: AnyBot, life: BotState) -> None:
        self._sending.act(bot, bot.end(life, clock.now_ms()))

    async def _moved(self, bot: AnyBot, row: BotRow) -> None:
        """Write where the bot stands; what a person moved meanwhile is looked at again."""
        reason = "; ".join(f"{one.limit}: {one.detail}" for one in bot.breaches)
        if bot.failure is not None:
            reason = f"its strategy failed: {type(bot.failure).__name__}; the log has the rest"
            _log.error("a strategy failed", bot=row.bot_id, exc_info=bot.failure)
        done = await self._store.move(
            self._wallet.lease, row.bot_id, row.state, bot.life, reason, finished=bot.finished
        )
        if not done:
            _log.info("a bot was moved meanwhile", bot=row.bot_id)

    async def _again(self, row: BotRow) -> None:
        """Begin a paused or stopped bot anew, with what it knows."""
        await self._journal.write()
        # Under one lease no id of an order is used twice.
        self._numbers[row.bot_id] = self._wallet.bots.pop(row.bot_id).number
        await self._begin(row)

    async def _begin(self, row: BotRow) -> None:
        starts = row.desired == "RUNNING" and row.state not in _RESTED
        ending = row.state in ACTIVE
        if not (starts or ending or await self._store.unsettled([row.bot_id])):
            return
        try:
            bot = await make(self._wallet, row, number=self._numbers.get(row.bot_id, 1))
        except (strategies.ConfigError, SetupError) as error:
            _log.warning("a bot cannot start", bot=row.bot_id, why=str(error))
            await self._through(row, BotState.ERROR, str(error))
            return
        self._wallet.bots[row.bot_id] = bot
        await self._account.read()
        if self._wallet.account is not None:
            self._sending.act(bot, bot.account(self._wallet.account, clock.now_ms()))
        if not starts:
            self._end(bot, _ending(row))
            return
        if await self._through(row, BotState.RUNNING, ""):
            self._sending.act(bot, bot.run(clock.now_ms()))

    async def _through(self, row: BotRow, target: BotState, reason: str) -> bool:
        """Move a bot over STARTING."""
        lease = self._wallet.lease
        if row.state is not BotState.STARTING and not await self._store.move(
            lease, row.bot_id, row.state, BotState.STARTING, ""
        ):
            return False
        return await self._store.move(lease, row.bot_id, BotState.STARTING, target, reason)


def _ending(row: BotRow) -> BotState:
    """Return the state in which a bot that is not to run winds up."""
    if row.state in (BotState.RUNNING, BotState.STARTING):
        paused = row.desired == "PAUSED" and row.state is BotState.RUNNING
        return BotState.PAUSING if paused else BotState.STOPPING
    return row.state
