"""Positions compared again and again with what the exchange says is held; see core/positions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

import psycopg
import structlog

from services.bots.core import forced, positions
from services.bots.core.positions import Difference
from services.bots.core.risk import Closed
from services.bots.store import Gap
from services.bots.wallet.account import Account
from services.bots.wallet.gaps import closings, gap_of
from services.bots.wallet.journal import Journal
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet, database_away, outlast
from tradingtools import clock
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import AccountState, ReadError

POLL_SECONDS = 10.0
POLL_AGAIN_SECONDS = 1.0
"""As long as a difference is not certain."""
_log = structlog.get_logger("bots")


class Positions:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
        account: of the wallet.
        journal: makes durable what the bots have.
    """

    def __init__(
        self, wallet: Wallet, sending: Sending, account: Account, journal: Journal
    ) -> None:
        self._wallet = wallet
        self._sending = sending
        self._account = account
        self._journal = journal
        self._known: dict[str, Difference] = {}
        self._proven: set[str] = set()
        """Instruments of which nothing was missing once; before that, doubt alone opens none."""
        self._reported: dict[str, Gap] = {}
        """Certain differences, as they were written."""

    async def follow(self) -> None:
        """Compare for ever, whenever all bots that may hold something are here."""
        self._reported = await outlast(self._gaps, "the comparison of positions")
        while True:
            await self._wallet.whole.wait()
            try:
                await self._compare()
            except psycopg.OperationalError as error:
                database_away("the comparison of positions", error)
            certain = all(one in self._reported for one in self._known)
            await asyncio.sleep(POLL_SECONDS if certain else POLL_AGAIN_SECONDS)

    async def _gaps(self) -> dict[str, Gap]:
        return await self._wallet.store.gaps(self._wallet.lease.wallet_id)

    async def _compare(self) -> None:
        before = self._believed()
        try:
            account = await self._wallet.venue.accounts.state()
        except ReadError as error:
            _log.warning("positions were not read", why=str(error))
            return
        if not self._wallet.whole.is_set():
            return
        reported = self._held(account)
        now = clock.now_ms()
        self._known = positions.compared(before, self._believed(), reported, self._known, now)
        await self._act(now)
        self._proven.update(key for key in reported if not self._is_missing(key))

    def _held(self, account: AccountState) -> dict[str, int]:
        believed = self._believed()
        concerned = {**self._reported, **believed}
        known = self._instruments().items()
        # Shares that were paid out are nobody's position, whenever they are redeemed.
        instruments = [one for key, one in known if key in concerned and one.payout is None]
        return positions.held(account, instruments, believed)

    def _instruments(self) -> dict[str, Instrument]:
        """Return those of the wallet, and those of its bots that the exchange has no more."""
        of_bots = {
            key: one for bot in self._wallet.bots.values() for key, one in bot.instruments.items()
        }
        return {**of_bots, **self._wallet.instruments}

    def _is_missing(self, instrument_id: str) -> bool:
        known = self._known.get(instrument_id)
        return known is not None and known.missing > 0

    def _believed(self) -> dict[str, int]:
        return positions.believed(bot.holdings for bot in self._wallet.bots.values())

    async def _act(self, now_ms: int) -> None:
        able = self._wallet.venue.gateway.capabilities
        settles = max(positions.SETTLES_MS, able.horizon_ms)
        kept = await self._gaps()
        waiting = {key: one for key, one in kept.items() if one.corrected and not one.explained}
        # A person has to say where a part went that bots hold no more.
        closed = self._closed(*waiting.values())
        shortfalls = set()
        gone: list[Difference] = []
        for instrument_id, now in self._known.items():
            certain = now_ms - now.since_ms >= settles or instrument_id in self._reported
            if not certain and instrument_id in self._proven:
                continue
            gap = gap_of(now, kept.get(instrument_id))
            # More than bots believe does not say where the rest went.
            if certain and (gap.missing or instrument_id not in waiting):
                await self._notify(gap)
            if gap.missing:
                shortfalls.add(instrument_id)
            if gap.missing and not gap.explained:
                closed.update(self._closed(gap))
            if gap.missing and self._is_gone(gap, now_ms - now.since_ms, settles):
                gone.append(now)
        await self._give_back(waiting, now_ms - settles)
        await self._forget(set(self._reported) - set(self._known) - set(waiting))
        for bot in self._wallet.bots.values():
            self._sending.notify(bot, partial(bot.missing, dict(closed), frozenset(shortfalls)))
        for now in gone:
            # One at a time: spot markets share their coins.
            if await self._correct(now):
                break

    async def _forget(self, instruments: Iterable[str]) -> None:
        for instrument_id in instruments:
            await self._wallet.store.gap_closed(self._wallet.lease, instrument_id)
            del self._reported[instrument_id]
            _log.info("a position is what bots believe again", instrument=instrument_id)

    def _is_gone(self, gap: Gap, stands_ms: int, settles_ms: int) -> bool:
        """Return whether what is missing was traded elsewhere, if nothing is under way."""
        if gap.explained:
            return True
        if gap.instrument_id not in self._wallet.instruments:
            # How the exchange ended it is told by a person, or as a delivery.
            return False
        bots = self._wallet.bots.values()
        closing = any(bot.flattening and gap.instrument_id in bot.left for bot in bots)
        return stands_ms >= max(settles_ms, positions.corrected_after_ms(closing=closing))

    async def _correct(self, one: Difference) -> bool:
        """Have bots hold what the account has, if that is certain; return whether they do."""
        if not await self._is_proven(one):
            return False
        await self._wallet.store.gap_corrected(self._wallet.lease, one.instrument_id)
        if self._is_doubtful(one):
            return False
        sizes = {key: bot.left.get(one.instrument_id, 0) for key, bot in self._wallet.bots.items()}
        side: Side = "SELL" if one.believed > 0 else "BUY"
        for bot_id, size in forced.closed_sizes(sizes, side, one.missing).items():
            bot = self._wallet.bots[bot_id]
            self._sending.notify(bot, partial(bot.traded_elsewhere, size, one.instrument_id))
            _log.error(
                "a bot's holding follows its account, which holds less",
                bot=bot_id,
                instrument=one.instrument_id,
                size=size,
            )
        await self._journal.flush()
        return True

    async def _is_proven(self, one: Difference) -> bool:
        """Read fills, orders and the position again; return whether all is as it was."""
        if self._is_doubtful(one):
            return False
        await self._account.read()
        try:
            account = await self._wallet.venue.accounts.state()
        except ReadError as error:
            _log.warning("positions were not read", why=str(error))
            return False
        # After the position: a change that has ended by now has moved what bots believe, too.
        change = await self._wallet.store.sets.pending(self._wallet.lease.wallet_id)
        if change is not None and one.instrument_id in (change.instrument_id, change.complement_id):
            return False
        if self._held(account).get(one.instrument_id) != one.held or self._is_doubtful(one):
            return False
        # One that rests by our books alone has ended, and what it filled is still to be told.
        return all(
            order.settled or self._account.rests(name)
            for bot in self._wallet.bots.values()
            for name, order in bot.orders.items()
            if order.order.instrument.id == one.instrument_id
        )

    async def _give_back(self, waiting: Iterable[str], until_ms: int) -> None:
        """Have bots hold again what is back in the account, to the unit, after a correction.

        Exchanges tell nothing for minutes at times, and fills late: what nobody believes to hold,
        nobody sells.

        Args:
            waiting: instruments in which a correction was made, and no person has explained it.
            until_ms: differences that were seen later are not certain yet.
        """
        for instrument_id in waiting:
            one = self._known.get(instrument_id)
            if one is not None and one.since_ms <= until_ms:
                await self._give_one_back(one)

    async def _give_one_back(self, one: Difference) -> None:
        wallet = self._wallet
        found = await wallet.store.corrections(wallet.lease.wallet_id, one.instrument_id)
        signed = sum(fill.size if fill.side == "SELL" else -fill.size for _, fill in found)
        here = all(bot_id in wallet.bots for bot_id, _ in found)
        if not (found and here) or one.held - one.believed != signed:
            return
        if not await self._is_proven(one):
            return
        for bot_id, fill in found:
            self._sending.notify(
                wallet.bots[bot_id], partial(wallet.bots[bot_id].traded_back, fill)
            )
        await self._journal.flush()
        await wallet.store.gap_closed(wallet.lease, one.instrument_id)
        self._reported.pop(one.instrument_id, None)
        _log.warning("what was missing is back", instrument=one.instrument_id, size=signed)

    def _is_doubtful(self, one: Difference) -> bool:
        """Return whether the bots may have traded what is missing, as far as is known here."""
        wallet = self._wallet
        instrument = self._instruments().get(one.instrument_id)
        if instrument is None or not (wallet.whole.is_set() and wallet.sound.is_set()):
            return True
        if wallet.unread_ms or self._believed().get(one.instrument_id, 0) != one.believed:
            return True
        orders = [order for bot in wallet.bots.values() for order in bot.orders.values()]
        return positions.is_under_way(orders, instrument)

    async def _notify(self, gap: Gap) -> None:
        if self._reported.get(gap.instrument_id) == gap:
            return
        bots = [
            bot.setup.bot_id
            for bot in self._wallet.bots.values()
            if gap.instrument_id in bot.setup.instruments
        ]
        await self._wallet.store.gap(self._wallet.lease, gap, bots if gap.missing else ())
        self._reported[gap.instrument_id] = gap
        if not gap.missing:
            _log.warning(
                "a stranger's position is in this account; it is left alone",
                wallet=self._wallet.lease.wallet_id,
                instrument=gap.instrument_id,
            )
        elif not gap.explained:
            _log.error(
                "the exchange holds less than bots believe: nothing opens there",
                wallet=self._wallet.lease.wallet_id,
                instrument=gap.instrument_id,
                believed=gap.believed,
                held=gap.held,
            )

    def _closed(self, *gaps: Gap) -> Closed:
        known = self._instruments()
        closed: Closed = {}
        for gap in gaps:
            of = known.get(gap.instrument_id)
            closed.update({} if of is None else closings(gap, of))
        return closed
