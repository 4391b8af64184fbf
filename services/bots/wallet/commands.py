"""People's wishes for the bots of a wallet: read now and then, and done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial

import psycopg
import structlog

from services.bots.core.bot import AnyBot
from services.bots.core.risk import RiskAction
from services.bots.risk_store import Kill
from services.bots.store import BotRow, LostError
from services.bots.wallet.account import Account
from services.bots.wallet.forced import Forced
from services.bots.wallet.journal import Journal
from services.bots.wallet.killing import Killing
from services.bots.wallet.making import SetupError, make, make_rest, setup_of
from services.bots.wallet.markets import Markets
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet, database_away, outlast
from tradingtools.domain.bot_states import ACTIVE, TRANSITIONS, BotState
from tradingtools.domain.strategies import ConfigError
from tradingtools.tasks import cancel_all

POLL_SECONDS = 0.5
_STOPS = frozenset(
    {
        (BotState.PAUSING, "STOPPED"),
        (BotState.PAUSING, "IDLE"),
        (BotState.PAUSED, "STOPPED"),
        (BotState.PAUSED, "IDLE"),
    }
)
"""States and wishes from which a bot goes on to stop."""
_ENDING = frozenset({BotState.PAUSING, BotState.STOPPING})
_WAITING = frozenset({BotState.IDLE, BotState.PAUSED, BotState.STOPPED})
_RESTED = frozenset({BotState.RISK_STOPPED, BotState.ERROR})
"""States that only a person ends, by STARTING."""
_log = structlog.get_logger("bots")


class Commands:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
        account: of the wallet.
        markets: of the wallet.
        journal: of the wallet.
        forced: of the wallet.
    """

    def __init__(
        self,
        wallet: Wallet,
        sending: Sending,
        account: Account,
        markets: Markets,
        journal: Journal,
        forced: Forced,
    ) -> None:
        self._wallet = wallet
        self._store = wallet.store
        self._sending = sending
        self._account = account
        self._markets = markets
        self._journal = journal
        self._killing = Killing(wallet, sending, account)
        self._forced = forced
        self._numbers: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        """By bot, the version whose settings do not fit: it goes by those before."""
        self._beginning: dict[str, asyncio.Task[None]] = {}
        self._resting: set[tuple[str, BotState, str]] = set()
        """Bots that nothing may happen to as long as they are where they are."""

    async def follow(self) -> None:
        """Do what people want for ever; what bots have is read while the account is opened."""
        while True:
            try:
                await self._look()
            except psycopg.OperationalError as error:
                database_away("what people want", error)
            if self._wallet.connected.is_set():
                await asyncio.sleep(POLL_SECONDS)
            else:
                await self._wallet.connected.wait()

    async def _look(self) -> None:
        # Read before the bots: what starts after it finds no permit.
        kill = await self._store.risk.kill(self._wallet.lease.wallet_id)
        if kill is not None and not self._wallet.connected.is_set():
            return
        for row in await self._store.bots(self._wallet.lease.wallet_id):
            if self._is_beginning(row.bot_id):
                continue
            if kill is None:
                await self._follow(row)
            else:
                await self._kill(row, kill)
        if not self._wallet.connected.is_set():
            return
        await self._account.catch_up()
        if kill is not None and not (self._beginning or kill.done):
            await self._killing.step(kill)
        if self._beginning:
            self._wallet.whole.clear()
        else:
            # Those that are not here hold nothing, and nothing can become of them.
            self._wallet.whole.set()
            await self._account.complete()
            await self._forced.settle()
        await self._markets.follow()

    async def close(self) -> None:
        """End every beginning."""
        await cancel_all([*self._beginning.values()])

    def _is_beginning(self, bot_id: str) -> bool:
        task = self._beginning.get(bot_id)
        if task is None:
            return False
        if task.done():
            # Its row was read before that: the next one tells where it stands.
            del self._beginning[bot_id]
            task.result()
        return True

    async def _follow(self, row: BotRow) -> None:
        bot = self._wallet.bots.get(row.bot_id)
        if bot is None:
            if (row.bot_id, row.state, row.desired) not in self._resting:
                # In a task of its own: a venue that does not answer keeps no other bot waiting.
                self._beginning[row.bot_id] = asyncio.create_task(self._begin(row))
        else:
            if row.to_settle:
                await self._settle(bot)
            await self._follow_one(bot, row)

    async def _follow_one(self, bot: AnyBot, row: BotRow) -> None:
        if row.state is BotState.STARTING and bot.life in _RESTED:
            # A person has it go on: from the start, once nothing of it may fill any more.
            if bot.quiet:
                await self._again(row)
            return
        if bot.life is not row.state:
            await self._moved(bot, row)
            return
        if bot.flattening != row.flattening:
            await self._note_flattening(bot, row)
        seen = bot.setup.version, self._refused.get(row.bot_id)
        if row.version not in seen and row.state is BotState.RUNNING:
            await self._retune(bot, row)
        if row.state is BotState.RUNNING and row.desired in ("PAUSED", "STOPPED", "IDLE"):
            paused = row.desired == "PAUSED"
            self._end(bot, BotState.PAUSING if paused else BotState.STOPPING)
        elif (row.state, row.desired) in _STOPS:
            self._end(bot, BotState.STOPPING)
        elif row.state in (BotState.PAUSING, BotState.STOPPING) and bot.quiet:
            bot.life = BotState.PAUSED if row.state is BotState.PAUSING else BotState.STOPPED
            await self._moved(bot, row)
        elif row.desired == "RUNNING" and row.state in _WAITING:
            await self._again(row)

    async def _note_flattening(self, bot: AnyBot, row: BotRow) -> None:
        if bot.flattening:
            # It was stopped before, so that no move tells of it.
            closes = [one for one in bot.breaches if one.action is RiskAction.FLATTEN_AND_STOP]
            await self._store.risk.notify_closed(row.bot_id, closes)
        # The fills that closed it are durable before it is called done.
        await self._journal.flush()
        await self._store.flattening(self._wallet.lease, row.bot_id, desired=bot.flattening)

    async def _kill(self, row: BotRow, kill: Kill) -> None:
        """Stop a bot by the kill switch; one that is not here may hold something: it is made."""
        bot = self._wallet.bots.get(row.bot_id)
        if bot is None:
            if row.state is not BotState.IDLE and not kill.done:
                self._beginning[row.bot_id] = asyncio.create_task(self._take_up(row))
            return
        if row.to_settle:
            # What nobody could settle keeps the kill switch from its end.
            await self._settle(bot)
        self._killing.stop(bot, kill)
        if bot.life is not row.state:
            await self._moved(bot, row)

    async def _take_up(self, row: BotRow) -> None:
        """Have a bot here with its orders and holdings, without letting it trade."""
        number = self._numbers.get(row.bot_id, 1)
        try:
            bot = await make(self._wallet, row, number=number)
        except (LostError, psycopg.Error):
            raise
        except Exception as error:  # noqa: BLE001 - one bot must not stop a wallet's others
            _log.warning("a bot cannot be made as it was", bot=row.bot_id, exc_info=error)
            bot = await make_rest(self._wallet, row, number=number)
        bot.life = row.state
        self._wallet.bots[row.bot_id] = bot
        await self._read()

    async def _read(self) -> None:
        await outlast(self._account.read, "the reading of the account")

    async def _retune(self, bot: AnyBot, row: BotRow) -> None:
        """Let a bot go by what a person has changed; what does not fit leaves it as it is."""
        try:
            setup = setup_of(self._wallet, row, bot.setup.shares)
        except (ConfigError, SetupError) as error:
            await self._refuse(row, str(error))
            return
        self._sending.notify(bot, partial(bot.retune, setup))

    async def _settle(self, bot: AnyBot) -> None:
        """Book what an operator has found of orders that nobody could settle."""
        found = await self._store.settlements(bot.setup.bot_id)
        for order_id, size in found.items():
            self._sending.notify(bot, partial(bot.settle, order_id, size))
        await self._journal.flush()
        await self._store.settled(self._wallet.lease, found)

    def _end(self, bot: AnyBot, life: BotState) -> None:
        self._sending.notify(bot, partial(bot.end, life))

    async def _moved(self, bot: AnyBot, row: BotRow) -> None:
        """Write where the bot stands; what a person moved meanwhile is looked at again."""
        reason = "; ".join(f"{one.limit}: {one.detail}" for one in bot.breaches)
        if bot.failure is not None:
            failed = f"it failed: {type(bot.failure).__name__}; the log has the rest"
            reason = f"{reason}; {failed}".removeprefix("; ")
        reason = reason or bot.finished
        done = await self._store.move(
            self._wallet.lease,
            row.bot_id,
            row.state,
            bot.life,
            reason,
            finished=bool(bot.finished),
            flattening=bot.flattening,
            breaches=bot.breaches,
        )
        if not done:
            _log.info("a bot was moved meanwhile", bot=row.bot_id)

    async def _again(self, row: BotRow) -> None:
        """Begin a paused or stopped bot anew, with what it knows."""
        bot = self._wallet.bots[row.bot_id]
        await self._journal.write()
        while bot.unwritten:
            # It traded while that was written, and the next one knows only the database.
            await self._journal.flush()
        # Under one lease no id of an order is used twice.
        self._numbers[row.bot_id] = self._wallet.bots.pop(row.bot_id).number
        self._beginning[row.bot_id] = asyncio.create_task(self._begin(row))

    async def _begin(self, row: BotRow) -> None:
        if not (_starts(row) or _ends(row) or await self._store.concerned(row.bot_id)):
            self._resting.add((row.bot_id, row.state, row.desired))
            return
        number = self._numbers.get(row.bot_id, 1)
        try:
            bot = await self._made(row, number)
        except (LostError, psycopg.Error):
            raise
        except Exception as error:  # noqa: BLE001 - one bot must not stop a wallet's others
            await self._cannot_begin(row, number, error)
            return
        self._wallet.bots[row.bot_id] = bot
        await self._read()
        if self._wallet.account is not None:
            self._sending.notify(bot, partial(bot.account, self._wallet.account))
        # A person may have thought better of it while the venue was read.
        row = await outlast(partial(self._store.bot, row.bot_id), "what people want of a bot")
        if row.flattening and row.state in _RESTED:
            bot.flatten()
        if not _starts(row):
            stopped = bot.life is BotState.RISK_STOPPED
            if not (stopped and (row.state, bot.life) in TRANSITIONS):
                # Else reading its account has stopped it, and a person is to know.
                self._end(bot, _ending(row))
        elif await self._through(row, BotState.RUNNING, ""):
            bot.oppose(self._wallet.opposed(bot))
            self._sending.notify(bot, bot.run)
            await self._markets.follow()

    async def _made(self, row: BotRow, number: int) -> AnyBot:
        """Make a bot; one that runs goes on by its settings of before, if those of now do not fit.

        Its owner before has refused them, and only who starts a bot finds it in ERROR for them.
        """
        try:
            return await make(self._wallet, row, number=number)
        except (ConfigError, SetupError) as error:
            before = row.as_applied()
            if before is None or row.state is not BotState.RUNNING:
                raise
            bot = await make(self._wallet, before, number=number)
            await self._refuse(row, str(error))
            return bot

    async def _refuse(self, row: BotRow, why: str) -> None:
        _log.warning("a change of a bot does not fit", bot=row.bot_id, why=why)
        await self._store.refuse_change(self._wallet.lease, row.bot_id, why)
        self._refused[row.bot_id] = row.version

    async def _cannot_begin(self, row: BotRow, number: int, error: Exception) -> None:
        """Leave a bot in ERROR, with its orders cancelled, when it cannot be made as it should."""
        _log.warning("a bot cannot begin", bot=row.bot_id, exc_info=error)
        reported = isinstance(error, ConfigError | SetupError)
        why = str(error) if reported else f"it cannot begin: {type(error).__name__}"
        rested = row.state in _RESTED
        if not rested and not await self._through(row, BotState.ERROR, why):
            return
        bot = await make_rest(self._wallet, row, number=number)
        bot.life = row.state if rested else BotState.ERROR
        self._wallet.bots[row.bot_id] = bot
        await self._read()
        if rested and row.flattening:
            bot.flatten()
        self._sending.notify(bot, partial(bot.end, bot.life))

    async def _through(self, row: BotRow, target: BotState, reason: str) -> bool:
        """Move a bot to a state, over STARTING where there is no other way."""
        direct = (row.state, target) in TRANSITIONS or row.state is BotState.STARTING
        move = self._store.move if direct else self._store.take_over

        def moving() -> Awaitable[bool]:
            return move(self._wallet.lease, row.bot_id, row.state, target, reason)

        return await outlast(moving, "the move of a bot")


def _starts(row: BotRow) -> bool:
    # What was on its way to an end gets there first.
    return row.desired == "RUNNING" and row.state not in _RESTED | _ENDING


def _ends(row: BotRow) -> bool:
    return row.state in ACTIVE or (row.state, row.desired) in _STOPS or row.flattening


def _ending(row: BotRow) -> BotState:
    """Return the state in which a bot that is not to run winds up."""
    if row.state in (BotState.RUNNING, BotState.STARTING):
        paused = row.desired == "PAUSED" and row.state is BotState.RUNNING
        return BotState.PAUSING if paused else BotState.STOPPING
    return row.state
