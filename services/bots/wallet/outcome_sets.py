"""A wallet's sets of outcomes: merged while its bots trade, redeemed when a market is resolved.

A change is written down with the account's nonce before it is sent, and the chain uses a nonce
once: whoever finds it after a death sends it again or books what became of it. One at a time.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from functools import partial

import psycopg
import structlog

from services.bots.core import forced, outcome_sets
from services.bots.core.bot import AnyBot
from services.bots.core.holding import Holding
from services.bots.core.outcome_sets import Sets, Step
from services.bots.sets_store import SetRow
from services.bots.strategies import registry
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet, database_away
from tradingtools import clock
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.outcome_sets import OutcomeSets, SetAction, SetChange
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import ReadError

POLL_SECONDS = 2.0
REDEEM_SECONDS = 60.0
"""From one look at what could be redeemed to the next."""
LEAVING_SECONDS = 1.5
"""The longest that a wallet is kept for a last look. Its quotes are withdrawn after it, and have to
be gone within ``engine.LEAVE_SECONDS / 2``."""
_PAUSES = {SetAction.MERGE: 60, SetAction.REDEEM: 3_600}
"""Seconds after a change that has failed."""
AGAIN_MS = 10_000
"""From one sending of a change to the next."""
_log = structlog.get_logger("bots")


Write = Callable[[], Awaitable[None]]


class WalletSets:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
        write: makes durable what the bots have.
    """

    def __init__(self, wallet: Wallet, sending: Sending, write: Write) -> None:
        self._wallet = wallet
        self._sending = sending
        self._write = write
        self._sent_ms = 0
        self._redeems_ms = 0
        self._booked: set[str] = set()
        """Changes that a bot has booked in this life."""

    async def follow(self) -> None:
        """Merge and redeem for ever, whenever all bots that may hold something are here."""
        sets = self._wallet.venue.sets
        if sets is None:
            await asyncio.Event().wait()
            return
        while True:
            await self._wallet.whole.wait()
            await self._wallet.sound.wait()
            try:
                await self._look(sets)
            except ReadError as error:
                _log.warning("sets were not read", why=str(error))
            except psycopg.OperationalError as error:
                database_away("sets of outcomes", error)
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, sets: OutcomeSets) -> None:
        row = await self._wallet.store.sets.pending(self._wallet.lease.wallet_id)
        if row is not None:
            await self._go_on(sets, row)
            return
        now_ms = clock.now_ms()
        if self._wallet.leaving:
            return
        desired = await self._merge(now_ms)
        if desired is None and now_ms >= self._redeems_ms:
            desired = await self._redemption(now_ms)
        if desired is not None:
            await self._go_on(sets, await self._started(sets, desired, now_ms))

    async def last_look(self) -> None:
        """Write down a redemption that is left to do: a wallet with a change is somebody's."""
        sets, lease = self._wallet.venue.sets, self._wallet.lease
        if sets is None or not self._wallet.whole.is_set():
            return
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                if await self._wallet.store.sets.pending(lease.wallet_id) is None:
                    desired = await self._redemption(now_ms := clock.now_ms())
                    if desired is not None:
                        await self._started(sets, desired, now_ms)
        except (TimeoutError, ReadError, psycopg.Error) as error:
            _log.warning("redemptions were not looked for", why=f"{type(error).__name__} {error}")

    async def _started(self, sets: OutcomeSets, desired: SetRow, now_ms: int) -> SetRow:
        row = SetRow(
            change_id=secrets.token_hex(16),
            bot_id=desired.bot_id,
            action=desired.action,
            instrument_id=desired.instrument_id,
            complement_id=desired.complement_id,
            size=desired.size,
            nonce=await sets.nonce(),
            deadline_ms=now_ms + outcome_sets.DEADLINE_MS,
        )
        await self._wallet.store.sets.begin(self._wallet.lease, row)
        self._sent_ms = 0
        return row

    # ------------------------------------------------------------------------------------ wishes

    async def _merge(self, now_ms: int) -> SetRow | None:
        """Return the next merge of a bot's sets; None: nobody has any to spare."""
        held: dict[str, int] | None = None
        paused = await self._paused(SetAction.MERGE)
        for bot_id, bot in sorted(self._wallet.bots.items()):
            if not registry.merges_sets(bot.state) or not self._wants(bot, None):
                continue
            if held is None:
                account = await self._wallet.venue.accounts.state()
                held = {one.instrument_id: one.size for one in account.positions}
            found = self._wants(bot, held)
            if found is not None and found.first.id not in paused:
                return SetRow(
                    change_id="", bot_id=bot_id, action=SetAction.MERGE,
                    instrument_id=found.first.id, complement_id=found.second.id, size=found.size,
                    nonce=0, deadline_ms=now_ms,
                )  # fmt: skip
        return None

    @staticmethod
    def _wants(bot: AnyBot, held: dict[str, int] | None) -> Sets | None:
        known = dict(bot.left) if held is None else held
        return outcome_sets.mergeable(bot.holdings, bot.instruments, bot.orders.values(), known)

    async def _redemption(self, now_ms: int) -> SetRow | None:
        """Return the next redemption of shares that pay; None: there are none."""
        paused = await self._paused(SetAction.REDEEM)
        account = await self._wallet.venue.accounts.state()
        for one in account.positions:
            instrument = self._wallet.instruments.get(one.instrument_id)
            if one.size <= 0 or instrument is None or instrument.kind is not InstrumentKind.BINARY:
                continue
            if one.instrument_id in paused:
                continue
            if any(one.instrument_id in bot.left for bot in self._wallet.bots.values()):
                continue  # it is paid out to its bots first
            payout = (await self._known(instrument)).payout
            if payout:
                return SetRow(
                    change_id="", bot_id="", action=SetAction.REDEEM,
                    instrument_id=instrument.id, complement_id="", size=one.size,
                    nonce=0, deadline_ms=now_ms,
                )  # fmt: skip
        self._redeems_ms = now_ms + int(REDEEM_SECONDS * 1000)
        return None

    async def _paused(self, action: SetAction) -> set[str]:
        seconds = _PAUSES[action]
        return await self._wallet.store.sets.failed(self._wallet.lease.wallet_id, action, seconds)

    async def _known(self, instrument: Instrument) -> Instrument:
        """Return an instrument as its venue knows it now, or as it was known."""
        found = await self._wallet.venue.instruments.find([instrument.symbol])
        return found[0] if found else instrument

    # ----------------------------------------------------------------------------------- changes

    async def _go_on(self, sets: OutcomeSets, row: SetRow) -> None:
        instrument = self._wallet.instruments.get(row.instrument_id)
        if instrument is None:
            _log.error("sets of a market that is not known", change=row.change_id)
            return
        change = SetChange(
            change_id=row.change_id, action=row.action,
            instrument=await self._known(instrument), size=row.size,
            nonce=row.nonce, deadline_ms=row.deadline_ms,
        )  # fmt: skip
        found = await sets.find(change)
        now_ms = clock.now_ms()
        step = outcome_sets.next_step(change, found, row.sent, now_ms)
        if step is Step.BOOK:
            await self._book(row)
        elif step is Step.GIVE_UP:
            await self._give_up(row, found.detail or "it was not made before its deadline")
        elif step is Step.SEND and now_ms >= self._sent_ms + AGAIN_MS:
            await self._send(sets, row, change)

    async def _send(self, sets: OutcomeSets, row: SetRow, change: SetChange) -> None:
        await self._wallet.store.sets.sending(self._wallet.lease, change)
        self._sent_ms = clock.now_ms()
        receipt = await sets.submit(change)
        if receipt.meaning is Meaning.REJECTED and not row.sent:
            # The first sending: nothing of it can be on its way.
            await self._give_up(row, f"{receipt.code} {receipt.detail}".strip())
        elif receipt.meaning is not Meaning.ACCEPTED:
            _log.warning("a change of sets is sent again", change=row.change_id, code=receipt.code)

    async def _give_up(self, row: SetRow, why: str) -> None:
        _log.warning("sets were not changed", action=row.action, of=row.instrument_id, why=why)
        await self._wallet.store.sets.end(
            self._wallet.lease, row.change_id, done=False, detail=why[:200]
        )

    async def _book(self, row: SetRow) -> None:
        """Book a change that is made, once; a redemption was booked when its market resolved."""
        if row.action is SetAction.MERGE and not await self._is_booked(row):
            bot = self._wallet.bots.get(row.bot_id)
            if bot is None:
                _log.error("who merged sets is not here", bot=row.bot_id, change=row.change_id)
                return
            self._booked.add(row.change_id)
            known = self._wallet.instruments
            pair = Sets(
                first=known[row.instrument_id], second=known[row.complement_id], size=row.size
            )
            cost = bot.holdings.get(row.instrument_id, Holding())
            for fill in outcome_sets.merged(row.bot_id, row.change_id, pair, cost, clock.now_ms()):
                self._sending.notify(bot, partial(bot.closed_by_exchange, fill))
        await self._write()
        await self._wallet.store.sets.end(self._wallet.lease, row.change_id, done=True)
        _log.info(
            "sets were changed", action=row.action, of=row.instrument_id, size=row.size,
            bot=row.bot_id,
        )  # fmt: skip

    async def _is_booked(self, row: SetRow) -> bool:
        if row.change_id in self._booked:
            return True
        instrument = self._wallet.instruments[row.instrument_id]
        return await self._wallet.store.sets.is_booked(
            instrument.venue,
            forced.order_id(SetAction.MERGE, row.bot_id),
            outcome_sets.trade_id(instrument, row.change_id),
        )
