"""All bots of one wallet behind its one gateway, while the wallet is leased.

The account is the unit: limits, margin and self-trade prevention are its own. Before anything is
sent, open orders, fills and positions are read; orders of strangers are left alone and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

import psycopg
import structlog

from services.bots.core.bot import DEADLINE_MS, AnyBot, Bot, LookUp, PermitAsked, Request, Setup
from services.bots.core.holding import Holding, booked
from services.bots.core.orders import BotOrder, intend, sending
from services.bots.core.permit import number_of
from services.bots.core.risk import Equity, RiskLimits
from services.bots.store import BotRow, LostError, Standing, Store, WalletLease
from services.bots.strategies import registry
from tradingtools import clock
from tradingtools.domain import strategies
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
from tradingtools.domain.bot_states import ACTIVE, BotState
from tradingtools.domain.instrument import Instrument
from tradingtools.tasks import cancel_all
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import (
    AccountEvent,
    Accounts,
    AmendOrder,
    CancelOrder,
    Connected,
    Disconnected,
    Fill,
    Instruments,
    MarketFeed,
    NewOrder,
    OrderGateway,
    OrderReport,
    PhaseChange,
    ReadError,
)

TICK_SECONDS = 0.25
STANDING_SECONDS = 1.0
READ_AGAIN_SECONDS = 2.0
FILLS_BEFORE_MS = 600_000
"""Fills are read again from so long before the last one that was written."""
CLOCK_ERROR_MS = 500
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A wallet's way to its exchange."""

    gateway: OrderGateway
    accounts: Accounts
    instruments: Instruments
    feed: MarketFeed


class WalletRun:
    """One leased wallet; see the module.

    Args:
        store: of the engine.
        lease: of the wallet.
        write_ms: how long changes wait to be written together.
    """

    _venue: Venue

    def __init__(self, store: Store, lease: WalletLease, write_ms: int) -> None:
        self._store = store
        self._lease = lease
        self._write_seconds = write_ms / 1000
        self._bots: dict[str, AnyBot] = {}
        self._numbers: dict[str, int] = {}
        self._instruments: dict[str, Instrument] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._feeding: asyncio.Task[None] | None = None
        self._fed: frozenset[str] = frozenset()
        self._sound = asyncio.Event()
        self._writing = asyncio.Lock()
        self._written_ms = 0
        self._strangers: set[str] = set()

    @property
    def bots(self) -> int:
        """Return how many bots it has."""
        return len(self._bots)

    def renewed(self, lease: WalletLease) -> None:
        """Take the lease's new end."""
        self._lease = lease
        if self._sound.is_set():
            for bot in self._bots.values():
                bot.lease_until_ms = lease.until_ms

    def _withhold(self) -> None:
        for bot in self._bots.values():
            bot.lease_until_ms = 0

    async def run(self, venue: Venue) -> None:
        """Run the wallet until it is cancelled.

        Args:
            venue: its way to the exchange.

        Raises:
            LostError: it is another engine's.
        """
        self._venue = venue
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_account())
                group.create_task(self._follow_wishes())
                group.create_task(self._tick())
                group.create_task(self._write_behind())
        except BaseExceptionGroup as group_:
            lost = group_.subgroup(LostError)
            if lost is not None:
                raise LostError(self._lease.wallet_id) from None
            raise
        finally:
            await cancel_all([*self._sending, *([self._feeding] if self._feeding else [])])

    async def close(self) -> None:
        """Write what is not written yet, once nothing is sent any more."""
        try:
            await self._write()
        except LostError:
            _log.warning("wallet was another engine's at its end", wallet=self._lease.wallet_id)

    # ------------------------------------------------------------------------------------ account

    async def _follow_account(self) -> None:
        if self._lease.epoch > 1:
            # What a former owner had under way has arrived or is void by then.
            await asyncio.sleep((DEADLINE_MS + CLOCK_ERROR_MS) / 1000)
        async for event in self._venue.accounts.events():
            if isinstance(event, Connected):
                await self._read_account()
                self._sound.set()
                self.renewed(self._lease)
            elif isinstance(event, Disconnected):
                # Orders may fill unseen: nothing is placed until the account has been read again.
                self._sound.clear()
                self._withhold()
            elif isinstance(event, OrderReport | Fill):
                self._hear(event)

    def _hear(self, event: AccountEvent) -> None:
        now = clock.now_ms()
        if isinstance(event, Fill):
            bot = self._owner(event.order_id)
            if bot is not None:
                self._act(bot, bot.filled(event, now))
        elif isinstance(event, OrderReport):
            bot = self._owner(event.order_id)
            if bot is not None:
                self._act(bot, bot.reported(event, now))

    def _owner(self, order_id: str) -> AnyBot | None:
        return next(
            (bot for bot_id, bot in self._bots.items() if number_of(order_id, bot_id) is not None),
            None,
        )

    async def _read_account(self) -> None:
        """Read what was missed: fills first, so that no end comes before what it filled."""
        asked = clock.now_ms()
        since = self._unread_since(asked)
        fills = await self._answered(self._venue.accounts.fills, since)
        standing = await self._answered(self._venue.accounts.open_orders)
        async with self._writing:
            # What is settled and being written is neither here nor in the database yet.
            await self._adopt(fills)
        for fill in fills:
            self._hear(fill)
        for report in standing:
            bot = self._owner(report.order_id)
            if bot is not None:
                self._act(bot, bot.reported(report, clock.now_ms(), read_ms=asked))
        self._tell_strangers(standing)
        named = {report.order_id for report in standing}
        for bot in self._bots.values():
            for order_id, order in list(bot.orders.items()):
                if order_id not in named and order.state is not BotOrderState.INTENDED:
                    self._start(self._look(bot, bot.named(order, clock.now_ms())))

    def _unread_since(self, now_ms: int) -> int:
        """Return since when fills may be unread: what rests may have filled at any time."""
        sent = [
            order.order.not_after_ms for bot in self._bots.values() for order in bot.orders.values()
        ]
        return min([self._written_ms or now_ms, *sent]) - FILLS_BEFORE_MS

    async def _adopt(self, fills: Sequence[Fill]) -> None:
        """Give a bot the orders that left under its permits, filled, and were not written."""
        missing: dict[str, Fill] = {}
        for fill in fills:
            bot = self._owner(fill.order_id)
            if bot is not None and fill.order_id not in bot.orders:
                before = missing.get(fill.order_id)
                size = fill.size + (before.size if before is not None else 0)
                missing[fill.order_id] = replace(fill, size=size)
        written = await self._store.written(list(missing))
        for order_id, fill in missing.items():
            bot = self._owner(order_id)
            instrument = self._instruments.get(fill.instrument_id)
            if order_id not in written and bot is not None and instrument is not None:
                bot.adopt(_found(order_id, instrument, fill.side, fill.price, fill.size))

    def _tell_strangers(self, standing: Iterable[OrderReport]) -> None:
        for report in standing:
            if (
                self._owner(report.order_id) is None
                and report.venue_order_id not in self._strangers
            ):
                self._strangers.add(report.venue_order_id)
                _log.warning(
                    "a stranger's order rests in this account; it is left alone",
                    wallet=self._lease.wallet_id,
                    instrument=report.instrument_id,
                    venue_order=report.venue_order_id,
                )

    async def _answered(self, read: Any, *arguments: Any) -> Any:
        while True:
            try:
                return await read(*arguments)
            except ReadError as error:
                _log.warning("the venue was not read", what=read.__name__, why=str(error))
                await asyncio.sleep(READ_AGAIN_SECONDS)

    # ------------------------------------------------------------------------------------- wishes

    async def _follow_wishes(self) -> None:
        await self._sound.wait()
        while True:
            rows = await self._store.bots(self._lease.wallet_id)
            for row in rows:
                await self._follow(row)
            await self._feed()
            await asyncio.sleep(STANDING_SECONDS / 2)

    async def _follow(self, row: BotRow) -> None:
        bot = self._bots.get(row.bot_id)
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
        self._act(bot, bot.end(life, clock.now_ms()))

    async def _moved(self, bot: AnyBot, row: BotRow) -> None:
        """Write where the bot stands; what a person moved meanwhile is looked at again."""
        reason = "; ".join(f"{one.limit}: {one.detail}" for one in bot.breaches)
        if bot.failure is not None:
            reason = f"its strategy failed: {type(bot.failure).__name__}; the log has the rest"
            _log.error("a strategy failed", bot=row.bot_id, exc_info=bot.failure)
        done = await self._store.move(
            self._lease, row.bot_id, row.state, bot.life, reason, finished=bot.finished
        )
        if not done:
            _log.info("a bot was moved meanwhile", bot=row.bot_id)

    async def _again(self, row: BotRow) -> None:
        """Begin a paused or stopped bot anew, with what it knows."""
        await self._write()
        # Under one lease no id of an order is used twice.
        self._numbers[row.bot_id] = self._bots.pop(row.bot_id).number
        await self._begin(row)

    async def _begin(self, row: BotRow) -> None:
        starts = row.desired == "RUNNING" and row.state not in _RESTED
        ending = row.state in ACTIVE
        if not (starts or ending or await self._store.unsettled([row.bot_id])):
            return
        try:
            bot = await self._made(row)
        except (strategies.ConfigError, SetupError) as error:
            _log.warning("a bot cannot start", bot=row.bot_id, why=str(error))
            await self._through(row, BotState.ERROR, str(error))
            return
        self._bots[row.bot_id] = bot
        await self._read_account()
        if not starts:
            self._end(bot, _ending(row))
            return
        if await self._through(row, BotState.RUNNING, ""):
            self._act(bot, bot.run(clock.now_ms()))

    async def _through(self, row: BotRow, target: BotState, reason: str) -> bool:
        """Move a bot over STARTING."""
        if row.state is not BotState.STARTING and not await self._store.move(
            self._lease, row.bot_id, row.state, BotState.STARTING, ""
        ):
            return False
        return await self._store.move(self._lease, row.bot_id, BotState.STARTING, target, reason)

    async def _made(self, row: BotRow) -> AnyBot:
        await self._find_instruments(row.instruments)
        instruments = {one: self._instruments[one] for one in row.instruments}
        strategy = registry.strategy(row.strategy)
        config = strategies.config(row.strategy, row.config)
        before = registry.state(row.strategy, row.strategy_state)
        venue = next(iter(instruments.values())).venue
        setup = Setup(
            bot_id=row.bot_id,
            epoch=self._lease.epoch,
            config=config,
            instruments=instruments,
            capabilities={venue: self._venue.gateway.capabilities},
            limits=limits_of(row.limits, next(iter(instruments.values()))),
        )
        known = [(slot, one) for _, slot, one in await self._store.unsettled([row.bot_id])]
        return Bot(
            setup,
            strategy,
            strategy.begin(config) if before is None else before,
            orders_=[*known, *await self._unwritten(row.bot_id, known)],
            holdings=await self._held(row.bot_id, instruments),
            number=self._numbers.get(row.bot_id, 1),
            equity=None if row.equity is None else _equity(row.equity),
            lease_until_ms=self._lease.until_ms if self._sound.is_set() else 0,
        )

    async def _unwritten(
        self, bot_id: str, known: Sequence[tuple[str, BotOrder]]
    ) -> list[tuple[str, BotOrder]]:
        """Return orders that left under a permit and were not written: they are ended at once."""
        written = {order.order.order_id for _, order in known}
        found = []
        for report in await self._answered(self._venue.accounts.open_orders):
            of = number_of(report.order_id, bot_id)
            instrument = self._instruments.get(report.instrument_id)
            if of is None or report.order_id in written or instrument is None:
                continue
            new = _found(report.order_id, instrument, report.side, report.price, report.size)
            found.append(
                (f"found:{report.order_id}", sending(intend(new, bot_id=bot_id, epoch=of[0])))
            )
        return found

    async def _held(self, bot_id: str, instruments: Mapping[str, Instrument]) -> dict[str, Holding]:
        held: dict[str, Holding] = {}
        for fill in await self._store.fills(bot_id):
            instrument = instruments.get(fill.instrument_id)
            if instrument is None:
                raise SetupError(f"instruments: {fill.instrument_id} is held and not among them")
            before = held.get(fill.instrument_id, Holding())
            held[fill.instrument_id] = booked(before, instrument, _as_booked(fill))
            self._written_ms = max(self._written_ms, fill.venue_ms)
        return held

    async def _find_instruments(self, ids: Iterable[str]) -> None:
        missing = [one for one in ids if one not in self._instruments]
        if not missing:
            return
        symbols = [one.partition(":")[2] for one in missing]
        for found in await self._answered(self._venue.instruments.find, symbols):
            self._instruments[found.id] = found
        unknown = sorted(set(missing) - set(self._instruments))
        if unknown:
            raise SetupError(f"instruments: the venue has no {unknown[0]}")

    # ------------------------------------------------------------------------------------- market

    async def _feed(self) -> None:
        """Follow the markets of all bots; another set of them is followed anew."""
        wanted = frozenset(one for bot in self._bots.values() for one in bot.setup.instruments)
        if wanted == self._fed:
            return
        if self._feeding is not None:
            await cancel_all([self._feeding])
        self._fed = wanted
        self._feeding = asyncio.create_task(self._follow_market(sorted(wanted)))

    async def _follow_market(self, wanted: Sequence[str]) -> None:
        async for event in self._venue.feed.events([self._instruments[one] for one in wanted]):
            now = clock.now_ms()
            named = event.instrument.id if isinstance(event, PhaseChange) else event.instrument_id
            for bot in self._bots.values():
                if named in bot.setup.instruments:
                    self._act(bot, bot.market(event, now))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self._feeding is not None and self._feeding.done():
                # It ends by a defect alone; without it quotes would stand on old books.
                self._feeding.result()
                raise RuntimeError("the feed of markets ended")
            for bot in list(self._bots.values()):
                self._act(bot, bot.tick(clock.now_ms()))

    # ------------------------------------------------------------------------------------ sending

    def _act(self, bot: AnyBot, requests: list[Request]) -> None:
        for one in requests:
            if isinstance(one, PermitAsked):
                self._start(self._permit(bot, one))
            elif isinstance(one, LookUp):
                self._start(self._look(bot, one.order))
            else:
                self._start(self._send(bot, one))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _permit(self, bot: AnyBot, asked: PermitAsked) -> None:
        try:
            await self._store.permit(self._lease, asked.permit)
        except (psycopg.Error, LostError) as error:
            # Nothing leaves without it. Who renews the lease finds out whether the wallet is lost.
            _log.warning("a permit was not written", bot=asked.permit.bot_id, why=str(error))
            bot.denied(asked.permit)
            return
        self._act(bot, bot.granted(asked.permit, clock.now_ms()))

    async def _send(self, bot: AnyBot, one: NewOrder | AmendOrder | CancelOrder) -> None:
        gateway = self._venue.gateway
        if isinstance(one, NewOrder):
            kind, receipt = PendingRequest.PLACE, await gateway.place(one)
        elif isinstance(one, AmendOrder):
            kind, receipt = PendingRequest.AMEND, await gateway.amend(one)
        else:
            kind, receipt = PendingRequest.CANCEL, await gateway.cancel(one)
        self._act(bot, bot.answered(one.order_id, kind, receipt, clock.now_ms()))

    async def _look(self, bot: AnyBot, order: CancelOrder) -> None:
        while True:
            asked = clock.now_ms()
            try:
                report = await self._venue.accounts.find(order)
                break
            except ReadError:
                await asyncio.sleep(READ_AGAIN_SECONDS)
        now = clock.now_ms()
        if report is None:
            self._act(bot, bot.not_found(order.order_id, asked_ms=asked, now_ms=now))
        else:
            self._act(bot, bot.reported(report, now, read_ms=asked))

    # ------------------------------------------------------------------------------------ writing

    async def _write_behind(self) -> None:
        due = clock.now_ms()
        while True:
            await asyncio.sleep(self._write_seconds)
            whole = clock.now_ms() >= due
            if whole:
                due = clock.now_ms() + int(STANDING_SECONDS * 1000)
            await self._write(standings=whole)

    async def _write(self, *, standings: bool = True) -> None:
        async with self._writing:
            now = clock.now_ms()
            written = [
                (bot_id, bot.written(), {one: bot.mid(one) for one in bot.setup.instruments})
                for bot_id, bot in self._bots.items()
            ]
            # A strategy's state goes with the orders and fills that made it: else a death between
            # them would have it want the same again.
            changed = {bot_id for bot_id, one, _ in written if one.orders or one.fills}
            rows = [
                _standing(bot_id, bot, now)
                for bot_id, bot in self._bots.items()
                if standings or bot_id in changed
            ]
            await self._store.write(self._lease, written, rows)


class SetupError(ValueError):
    """A bot that does not fit its wallet or venue; the text names the field."""


def limits_of(texts: Mapping[str, str], instrument: Instrument) -> RiskLimits:
    """Read limits: sizes in the instrument's units, money in its settle currency.

    Raises:
        SetupError: one is unknown, or no number; the text names it.
    """
    values: dict[str, int] = {}
    for name, text in texts.items():
        if name not in RiskLimits.__dataclass_fields__:
            raise SetupError(f"limits.{name}: there is no such limit")
        try:
            amount = Decimal(text)
        except InvalidOperation:
            raise SetupError(f"limits.{name}: {text!r} is no number") from None
        if not amount.is_finite() or amount < 0:
            raise SetupError(f"limits.{name}: {text!r} is no limit")
        values[name] = int(amount.scaleb(_digits(name, instrument)))
    return RiskLimits(**values)


def _digits(name: str, instrument: Instrument) -> int:
    if name == "max_position":
        return instrument.size_digits
    counts = ("max_orders_per_minute", "max_open_orders", "mark_age_ms")
    return 0 if name in counts else instrument.money_digits


def _found(order_id: str, instrument: Instrument, side: Side, price: int, size: int) -> NewOrder:
    return NewOrder(
        order_id=order_id,
        instrument=instrument,
        side=side,
        price=price,
        size=size,
        not_after_ms=clock.now_ms(),
    )


def _as_booked(fill: Fill) -> Fill:
    """Return a fill as it moves the holding: an undone one the other way."""
    if not fill.undone:
        return fill
    return replace(fill, side="SELL" if fill.side == "BUY" else "BUY", fee=-fill.fee)


def _ending(row: BotRow) -> BotState:
    """Return the state in which a bot that is not to run winds up."""
    if row.state in (BotState.RUNNING, BotState.STARTING):
        paused = row.desired == "PAUSED" and row.state is BotState.RUNNING
        return BotState.PAUSING if paused else BotState.STOPPING
    return row.state


def _equity(kept: Mapping[str, int]) -> Equity:
    return Equity(**kept)


def _standing(bot_id: str, bot: AnyBot, now_ms: int) -> Standing:
    equity = bot.equity
    return Standing(
        bot_id=bot_id,
        number=bot.number,
        strategy=registry.snapshot(bot.state),
        explanation=bot.explain(now_ms),
        holdings=bot.holdings,
        equity=None if equity is None else asdict(equity),
    )
