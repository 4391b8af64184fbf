"""One bot: a strategy, its orders and holdings, and the limits that it obeys. Without I/O.

Events go in with the time, requests come out; the same object runs in backtests, on paper and live.
Its orders are kept in `order_table`, sent by `quoting`, its markets are in `market`, and what it
has made is measured in `losses`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from services.bots.core import forced, orders, profit, risk
from services.bots.core.holding import Holding, booked, paid_funding
from services.bots.core.losses import flattening, measured
from services.bots.core.market import Market
from services.bots.core.order_table import OrderTable, named
from services.bots.core.orders import BotOrder
from services.bots.core.permit import Permit
from services.bots.core.profit import PnlPoint, Position
from services.bots.core.quoting import Quoting
from services.bots.core.requests import Request, Written
from services.bots.core.risk import Breach, Closed, Exposure, RiskAction
from services.bots.core.risk.shares import ShareUpdate, result_micros
from services.bots.core.setup import Config, Setup
from services.bots.core.strategy import (
    BookEvent,
    EndEvent,
    FillEvent,
    Finished,
    Intent,
    Quote,
    Strategy,
    StrategyEvent,
    TimerEvent,
    View,
    Wake,
    Withdraw,
    checked,
)
from tradingtools.domain.bot_order_states import FOR_OPERATORS, BotOrderState, PendingRequest
from tradingtools.domain.bot_states import ACTIVE, BotState
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import (
    AccountState,
    CancelOrder,
    Fill,
    MarketEvent,
    NewOrder,
    OrderReport,
    PhaseChange,
    Receipt,
)

State = TypeVar("State")
_WINDS_UP = frozenset(BotState) - {BotState.IDLE, BotState.STARTING, BotState.RUNNING}
"""States in which it opens nothing, and may hold something all the same."""


class Bot(Generic[Config, State]):
    """See the module.

    Args:
        setup: what it is made of.
        strategy: decides what should stand.
        state: of the strategy, from a snapshot or from its ``begin``.
        orders_: those of former lives that are not settled, each with its slot.
        holdings: as booked so far.
        number: of the next order.
        equity: of its former life, so that a loss is not forgotten; None: counted from now.
        lease_until_ms: nothing leaves that could be taken later.
        inherits_until_ms: quotes that a former owner handed over stand until the strategy has seen
            its books, and no longer than that.
    """

    def __init__(  # noqa: PLR0913
        self,
        setup: Setup[Config],
        strategy: Strategy[Config, State],
        state: State,
        *,
        orders_: Iterable[tuple[str, BotOrder]] = (),
        holdings: Mapping[str, Holding] | None = None,
        number: int = 1,
        equity: risk.Equity | None = None,
        lease_until_ms: int,
        inherits_until_ms: int = 0,
    ) -> None:
        self.setup = setup
        self.strategy = strategy
        self.state = state
        self.life = BotState.STARTING
        self.holdings: dict[str, Holding] = dict(holdings or {})
        self.equity = equity
        """The result at the last fresh marks; None: there were none yet."""
        self.breaches: list[Breach] = []
        """Limits that stopped it; a person reads them before it is resumed."""
        self.finished = ""
        """Why there is nothing left to do; empty: there is."""
        self.failure: Exception | None = None
        """A defect that ended it."""
        self._market = Market(setup.instruments)
        self._table = OrderTable()
        self._quoting = Quoting(
            setup,
            self._table,
            self._market,
            self.holdings,
            number=number,
            lease_until_ms=lease_until_ms,
        )
        self._quoting.inherits_until_ms = inherits_until_ms
        self._closed_above: Closed = {}
        self._booked: list[Fill] = []
        self._wake_ms: int | None = None
        self._flattening = False
        self._missing: Closed = {}
        self._unheard: dict[str, BookEvent] = {}
        """Of books, by instrument, that came while it waited for all of them."""
        self._ran = False
        for slot, order in orders_:
            self.know(order.order.instrument)
            self._table.keep(slot, orders.orphaned(order))

    def adopt(self, new: NewOrder) -> None:
        """Take an order of this bot that a former life sent and did not write; it is ended."""
        self.know(new.instrument)
        able = self.setup.capabilities[new.instrument.venue]
        mine = orders.intend(new, bot_id=self.setup.bot_id, epoch=self.setup.epoch, able=able)
        self._table.keep(f"found:{new.order_id}", orders.orphaned(orders.sending(mine)))

    def restore(self, slot: str, order: BotOrder) -> None:
        """Take back an order that is not here: its venue tells something new of it."""
        self.know(order.order.instrument)
        # A request that was under way as it was written is nobody's any more.
        self._table.restore(slot, order if order.settled else orders.orphaned(order))

    def know(self, instrument: Instrument) -> None:
        """Take the units of an instrument that it has traded."""
        self._market.instruments.setdefault(instrument.id, instrument)

    # ---------------------------------------------------------------------------------- commands

    def run(self, now_ms: int) -> list[Request]:
        """Begin to trade, if reconciling has not stopped it: it has been done."""
        if self.life is not BotState.STARTING:
            return self._requests(now_ms)
        self.life = BotState.RUNNING
        self._ran = True
        return self._decide(TimerEvent(), now_ms)

    def end(self, life: BotState, now_ms: int) -> list[Request]:
        """Cancel everything on the way to PAUSED, STOPPED or ERROR."""
        self.life = life
        self._quoting.clear()
        return self._requests(now_ms)

    def fail(self, error: Exception, now_ms: int) -> list[Request]:
        """End it for a defect of its own, and cancel what may fill."""
        self.defect(error)
        return [*self._table.cancels(now_ms)]

    def defect(self, error: Exception) -> None:
        """Take it to ERROR, unless it rests already; its next tick cancels what may fill."""
        self.failure = error
        if self.life in ACTIVE:
            self.life = BotState.ERROR
        self._quoting.clear()

    def withdraw(self, now_ms: int) -> list[Request]:
        """Cancel everything that rests, and stay what it is: its engine leaves."""
        self._quoting.clear()
        return self._requests(now_ms)

    def retune(self, setup: Setup[Config], now_ms: int) -> list[Request]:
        """Go by other settings and limits from now on; what the strategy remembers stays.

        Under other limits nothing keeps standing that was let in by the old ones: all is cancelled,
        and what is still wanted is judged anew.
        """
        before, self.setup = self.setup, setup
        self._quoting.retune(setup)
        if (before.config, before.limits) == (setup.config, setup.limits):
            return []
        if before.limits != setup.limits:
            self._quoting.end_all()
        return self._decide(TimerEvent(), now_ms)

    def leased(self, until_ms: int) -> None:
        """Take the lease's end; nothing leaves that could be taken later."""
        self._quoting.lease_until_ms = until_ms

    # ------------------------------------------------------------------------------------ events

    def market(self, event: MarketEvent, now_ms: int) -> list[Request]:
        """Take what a market tells."""
        received = self._market.take(event, now_ms, self._table.orders.values())
        if isinstance(event, PhaseChange):
            named = event.instrument.id
            self._pay_out(named, now_ms)
            # What rested may be gone, and whoever ended it may not tell.
            return [*self._table.look_at(named, now_ms), *self._decide(BookEvent(named), now_ms)]
        return [] if received is None else self._decide(received, now_ms)

    def resolved(self, instrument: Instrument, now_ms: int) -> list[Request]:
        """Book what each share pays of a market that is resolved, whoever told it."""
        self._market.instruments[instrument.id] = instrument
        self._pay_out(instrument.id, now_ms)
        return self._requests(now_ms)

    def _pay_out(self, instrument_id: str, now_ms: int) -> None:
        instrument = self._market.instruments[instrument_id]
        held = self.holdings.get(instrument_id, Holding())
        paid = forced.payout(self.setup.bot_id, instrument, held, now_ms)
        if paid is not None:
            self._book(paid)

    def received(self, event: StrategyEvent, now_ms: int) -> list[Request]:
        """Take what is meant for the strategy alone, such as a signal."""
        return self._decide(event, now_ms)

    def tick(self, now_ms: int) -> list[Request]:
        """Let time pass: timers, repeated cancels, look-ups."""
        if self._wake_ms is not None and now_ms >= self._wake_ms:
            self._wake_ms = None
            return self._decide(TimerEvent(), now_ms)
        if self._flattening:
            # Again and again until it is flat. What nobody can settle is not waited for, nor is
            # another market, whose orders cannot be cancelled as long as it is suspended.
            exits = flattening(self.exposure(now_ms), self._market, opposed=self._quoting.opposed)
            underway = self._table.underway
            self._quoting.want(one for one in exits if one.instrument_id not in underway)
        return self._requests(now_ms)

    def answered(
        self, order_id: str, request: PendingRequest, receipt: Receipt, now_ms: int
    ) -> list[Request]:
        """Take the answer to a request."""
        before = self.orders.get(order_id)
        if before is None:
            return []
        after = orders.answered(before, request, receipt)
        if after.state is BotOrderState.REJECTED:
            self._quoting.refused(self._table.slot_of(order_id), receipt, now_ms)
        return self._folded(before, after, now_ms, receipt.code)

    def reported(self, report: OrderReport, now_ms: int, *, read_ms: int = 0) -> list[Request]:
        """Take the venue's word on an order; a stranger's is none of this bot's business."""
        before = self.orders.get(report.order_id)
        if before is None:
            return []
        after = orders.reported(before, report, read_ms=read_ms)
        return self._folded(before, after, now_ms, report.code)

    def not_found(self, order_id: str, *, requested_ms: int, now_ms: int) -> list[Request]:
        """Take that the venue knows no such order."""
        before = self.orders.get(order_id)
        if before is None:
            return []
        after = orders.not_found(
            before,
            self.setup.capabilities[before.order.instrument.venue],
            requested_ms=requested_ms,
            clock_error_ms=self.setup.clock_error_ms,
        )
        return self._folded(before, after, now_ms, "NOT_FOUND")

    def settle(self, order_id: str, size: int, now_ms: int) -> list[Request]:
        """Take an operator's word on an order that nobody could settle: it has filled a size.

        What is not booked of it is booked at the order's own price, without a fee.
        """
        before = self.orders.get(order_id)
        if before is None or before.state not in FOR_OPERATORS:
            # Its venue has told meanwhile, or it is done.
            return []
        found = self._folded(before, orders.settled_as(before, size), now_ms, "OPERATOR")
        if size == before.filled:
            return found
        new = before.order
        fill = Fill(
            trade_id=f"operator:{order_id}",
            order_id=order_id,
            venue_order_id=before.venue_order_id,
            instrument_id=new.instrument.id,
            side=new.side,
            price=before.price,
            size=size - before.filled,
            fee=0,
            fee_currency=new.instrument.settle,
            maker=True,
            venue_ms=now_ms,
        )
        return found + self.filled(fill, now_ms)

    def filled(self, fill: Fill, now_ms: int) -> list[Request]:
        """Book a fill, or undo one."""
        before = self.orders.get(fill.order_id)
        if before is None:
            return []
        after = orders.filled(before, fill)
        stood = fill.trade_id in before.fills
        if stood == (fill.trade_id in after.fills):
            return self._folded(before, after, now_ms)
        slot = self._table.slot_of(fill.order_id)
        self._book(fill)
        if not (after.settled or after.breach):
            # Before its strategy has heard of a part, its quote would ask for that part again.
            self._table.keep(slot, after)
            return self._decide(FillEvent(fill, slot), now_ms)
        if after.breach and not before.breach:
            # It stops; its strategy knows of the fill all the same when it is resumed.
            self._learn(FillEvent(fill, slot), now_ms)
        found = self._folded(before, after, now_ms)
        return found + self._decide(FillEvent(fill, slot), now_ms)

    def _book(self, fill: Fill) -> None:
        self._booked.append(fill)
        if fill.undone:
            other: Side = "SELL" if fill.side == "BUY" else "BUY"
            fill = replace(fill, side=other, fee=-fill.fee)
        instrument = self._market.instruments[fill.instrument_id]
        held = self.holdings.get(fill.instrument_id, Holding())
        self.holdings[fill.instrument_id] = booked(held, instrument, fill)
        # Told late, after its market was resolved.
        self._pay_out(fill.instrument_id, fill.venue_ms)

    def account(self, state: AccountState, now_ms: int) -> list[Request]:
        """Take what the venue tells of the account: its money, and how near liquidation is."""
        self._quoting.money = {one.currency: one.total for one in state.balances}
        mine = [one for one in state.positions if one.instrument_id in self.setup.instruments]
        near = risk.near_liquidation(self.setup.limits, mine)
        if near is not None and (self.life is BotState.RUNNING or self._keeps):
            self._reached([near])
        return self._requests(now_ms)

    def closed_by_exchange(self, fill: Fill, now_ms: int) -> list[Request]:
        """Book a trade by which its exchange closed what it held; a liquidation stops it."""
        self._book(fill)
        if fill.forced in forced.STOPS:
            instrument = self._market.instruments[fill.instrument_id]
            text = (
                f"{fill.forced} of {instrument.size_text(fill.size)} {instrument.id}"
                f" at {instrument.price_text(fill.price)}"
            )
            self._stop([risk.breach(risk.RiskLimit.CLOSED_BY_EXCHANGE, text)])
        return self._requests(now_ms)

    def traded_elsewhere(self, size: int, instrument_id: str, now_ms: int) -> list[Request]:
        """Hold less by a size that its account provably has no more; the strategy goes by that."""
        held = self.holdings[instrument_id]
        instrument = self._market.instruments[instrument_id]
        mark = self.mid(instrument_id)
        self._book(forced.traded_elsewhere(self.setup.bot_id, instrument, held, size, mark, now_ms))
        return self._decide(TimerEvent(), now_ms)

    def traded_back(self, fill: Fill, now_ms: int) -> list[Request]:
        """Hold again what it had let go of by a trade elsewhere: the account has it after all."""
        self._book(replace(fill, undone=True))
        return self._decide(TimerEvent(), now_ms)

    def missing(self, closed: Closed, shortfalls: Collection[str], now_ms: int) -> list[Request]:
        """Open nothing where its exchange holds less than fills make, until it is called again.

        Args:
            closed: sides of instruments on which nothing opens.
            shortfalls: instruments of which the account holds less, explained or not: an exit there
                must not open the other side.
            now_ms: milliseconds since the epoch.
        """
        self.lack(closed, shortfalls)
        return self._requests(now_ms)

    def lack(self, closed: Closed, shortfalls: Collection[str]) -> None:
        """Know the same from the start; see `missing`."""
        self._missing = closed
        self._quoting.shortfalls = shortfalls

    def oppose(self, instruments: Collection[str]) -> None:
        """Know in which instruments other bots of its account hold the other side."""
        self._quoting.opposed = instruments

    def flatten(self) -> None:
        """Go on to close all that it holds, as a former life was to."""
        self._flattening = self._quoting.closing = True

    def funded(self, instrument_id: str, amount: int) -> None:
        """Book a funding payment; above zero: it was got."""
        held = self.holdings.get(instrument_id, Holding())
        self.holdings[instrument_id] = paid_funding(held, amount)

    def granted(self, given: Permit, now_ms: int, share: int | None = None) -> list[Request]:
        """Take a permit that is durable now, with the whole share of its side if one was asked."""
        self._quoting.granted(given, share)
        return self._requests(now_ms)

    def denied(self, requested: Permit, why: str = "", now_ms: int = 0) -> list[Request]:
        """Take that a permit was not made durable; it is asked for again when it is needed.

        Args:
            requested: which one.
            why: the limit of many bots that it would pass; empty: nobody has decided.
            now_ms: milliseconds since the epoch.
        """
        self._quoting.denied(requested, why, now_ms)
        return self._requests(now_ms) if why else []

    def kill(self, why: Breach, now_ms: int) -> list[Request]:
        """Cancel everything and close what is held, whatever state it is in."""
        if not self._flattening:
            self._stop([why])
        return self._requests(now_ms)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Return all that it trades or has traded, by id."""
        return self._market.instruments

    @property
    def left(self) -> Mapping[str, int]:
        """Return what is held, by instrument."""
        return {key: one.size for key, one in self.holdings.items() if one.size}

    def oversee(self, closed: Closed, stops: Sequence[Breach], now_ms: int) -> list[Request]:
        """Obey the limits of many bots, and the kill switch.

        Args:
            closed: sides of instruments on which nothing opens, until it is called again.
            stops: breaches that stop it.
            now_ms: milliseconds since the epoch.
        """
        self._closed_above = closed
        if stops and self.life is BotState.RUNNING:
            self._stop(stops)
        return self._requests(now_ms)

    @property
    def closing_limits(self) -> list[Breach]:
        """Return its own limits that let nothing open just now, each once."""
        return list({one.limit: one for one in self._quoting.closed.values()}.values())

    def retained_shares(self, now_ms: int, *, known: bool = True) -> list[ShareUpdate]:
        """Return its shares as they are to be written; then `shares_written` is called.

        Args:
            now_ms: milliseconds since the epoch.
            known: nothing that left in a former life can still be found; else nothing is given
                back.
        """
        reconciled = known and self.life is not BotState.STARTING
        return self._quoting.retained_shares(now_ms, reconciled=reconciled)

    def shares_written(self) -> None:
        """Take that its shares are written as they were told last."""
        if self.setup.shares is not None:
            self.setup.shares.settled()

    def result_micros(self, now_ms: int) -> int | None:
        """Return what it has made in micros of USDC; None: not all of it has a mark."""
        shares = self.setup.shares
        return None if shares is None else result_micros(self.exposure(now_ms), shares.rates)

    @property
    def unwritten(self) -> bool:
        """Return whether something changed since `written` was called last."""
        return bool(self._booked) or not self._table.unchanged

    def written(self) -> Written:
        """Return what changed since the last call, and let go of what is settled."""
        if not self.unwritten:
            return _NOTHING
        fills, self._booked = self._booked, []
        return Written(self._table.changes(), tuple(fills), self._table.moves())

    # ------------------------------------------------------------------------------------- seeing

    @property
    def orders(self) -> Mapping[str, BotOrder]:
        """Return all orders that are not settled and written, by id."""
        return self._table.orders

    @property
    def quiet(self) -> bool:
        """Return whether no order of it may fill, and all fills are booked."""
        return self._table.quiet

    @property
    def number(self) -> int:
        """Return the number of the next order."""
        return self._quoting.number

    @property
    def refusals(self) -> Mapping[str, str]:
        """Return why the quote of a slot does not stand, by slot."""
        return self._quoting.refusals

    @property
    def unquoted(self) -> bool:
        """Return whether it trades, wants orders to stand, and none does."""
        return self.life is BotState.RUNNING and self._quoting.unquoted

    @property
    def doubted(self) -> list[str]:
        """Return the instruments whose book may not be trusted."""
        return self._market.doubted

    def has_book(self, instrument_id: str) -> bool:
        """Return whether it was told the book of an instrument, whatever became of it."""
        return instrument_id in self._market.books

    @property
    def flattening(self) -> bool:
        """Return whether what it holds is to be closed, and is not."""
        return self._flattening and not (self.quiet and self.flat)

    @property
    def flat(self) -> bool:
        """Return whether nothing is held that its venue would let it close."""
        return not any(self._closable(one) for one in self.holdings)

    @property
    def _outlived(self) -> bool:
        """Return whether all its markets have ended, and nothing of them is left."""
        mine = self.setup.instruments
        ended = bool(mine) and all(map(self._market.is_ended, mine))
        return ended and self.quiet and not self.left

    def _closable(self, instrument_id: str) -> int:
        instrument = self._market.instruments[instrument_id]
        return instrument.size_in_lots(abs(self.holdings[instrument_id].size))

    @property
    def trades(self) -> bool:
        """Return whether it needs its markets: it has run in this life, or holds something."""
        return self._ran or self._flattening or self._keeps

    @property
    def _keeps(self) -> bool:
        """Return whether it holds something and trades no more, or is about to end."""
        return self.life in _WINDS_UP and bool(self.left)

    def slot_of(self, order_id: str) -> str:
        """Return the slot of one of its orders."""
        return self._table.slot_of(order_id)

    def named(self, order: BotOrder, now_ms: int) -> CancelOrder:
        """Return an order's names, for a cancel or a look-up."""
        return named(order, now_ms)

    def view(self, now_ms: int) -> View:
        """Return what the strategy sees."""
        return View(
            now_ms=now_ms,
            instruments=self._market.instruments,
            books=self._market.books_of_others,
            fundings=self._market.fundings,
            holdings=self.holdings,
            standing=self._table.standing,
        )

    def exposure(self, now_ms: int) -> Exposure:
        """Return what risk judges."""
        return self._quoting.exposure(now_ms)

    def explain(self, now_ms: int) -> dict[str, str]:
        """Return why each slot has its quote, or none."""
        said = dict(self.strategy.explain(self.setup.config, self.state, self.view(now_ms)))
        for slot, why in self.refusals.items():
            said[slot] = f"{said.get(slot, '')}; {why}".removeprefix("; ")
        return said

    def positions(self) -> dict[str, Position]:
        """Return what it holds, by instrument."""
        return profit.positions(self.holdings, self._market.instruments, self._market.marks)

    def pnl(self, sources: Mapping[str, int], now_ms: int) -> tuple[PnlPoint, ...]:
        """Return what it has made, by currency; ``sources`` as its strategy says them."""
        return profit.pnl(
            self.holdings, self._market.instruments, self._market.marks, sources, now_ms=now_ms
        )

    def mid(self, instrument_id: str) -> int | None:
        """Return the last mark of an instrument, in units of price."""
        mark = self._market.marks.get(instrument_id)
        return None if mark is None else mark.price

    # ---------------------------------------------------------------------------------- decisions

    def _decide(self, event: StrategyEvent, now_ms: int) -> list[Request]:
        if self.life is not BotState.RUNNING:
            return self._requests(now_ms)
        waits = self._waits(event, now_ms)
        if waits and isinstance(event, BookEvent):
            # A book that nobody changes tells nothing more.
            self._unheard[event.instrument_id] = event
        if waits and isinstance(event, BookEvent | TimerEvent):
            return self._requests(now_ms)
        unheard = () if waits else tuple(self._unheard.values())
        if unheard:
            self._unheard.clear()
        # What is told once is heard even while it waits; its wishes come again with the books.
        for one in (*unheard, event):
            for intent in self._learn(one, now_ms):
                if not waits or isinstance(intent, Wake):
                    self._take(intent)
        return self._requests(now_ms)

    def _waits(self, event: StrategyEvent, now_ms: int) -> bool:
        """Return whether quotes are decided later: without its books a strategy would want none."""
        until = self._quoting.inherits_until_ms
        if now_ms >= until or isinstance(event, FillEvent | EndEvent):
            return False
        if all(self._market.is_trusted(one) for one in self.setup.instruments):
            self._quoting.inherits_until_ms = 0
            return False
        if isinstance(event, TimerEvent):
            self._wake_ms = until
        return True

    def _learn(self, event: StrategyEvent, now_ms: int) -> tuple[Intent, ...]:
        """Let the strategy know of an event; return what it wants. Its defect ends the bot."""
        try:
            state, intents = self.strategy.on(
                self.setup.config, self.state, event, self.view(now_ms)
            )
            wanted = tuple(checked(one, self._market.instruments) for one in intents)
        except Exception as error:  # noqa: BLE001 - one strategy must not stop a wallet's others
            self.defect(error)
            return ()
        self.state = state
        return wanted

    def _take(self, intent: Intent) -> None:
        if isinstance(intent, Quote):
            self._quoting.want([intent])
        elif isinstance(intent, Withdraw):
            self._quoting.withdraw(intent.slot)
        elif isinstance(intent, Wake):
            earliest = self._wake_ms
            self._wake_ms = intent.at_ms if earliest is None else min(earliest, intent.at_ms)
        elif isinstance(intent, Finished):
            self._finish(intent.why)

    def _finish(self, why: str) -> None:
        self.life = BotState.STOPPING
        self.finished = why
        self._quoting.clear()

    def _requests(self, now_ms: int) -> list[Request]:
        if self.life is BotState.RUNNING and self._outlived:
            self._finish("its markets have ended")
        if self.life is BotState.RUNNING:
            self._judge(now_ms)
        elif self._keeps:
            # What nobody trades with any more goes on losing.
            self._judge_losses(self.exposure(now_ms), now_ms)
        self._table.give_up_waiting(now_ms)
        return [*self._quoting.requests(now_ms), *self._table.look_ups(now_ms)]

    def _judge(self, now_ms: int) -> None:
        limits, exposure = self.setup.limits, self.exposure(now_ms)
        own = risk.closed(
            limits,
            exposure,
            fundings=self._market.fundings,
            doubted=self._market.doubted,
            now_ms=now_ms,
        )
        self._quoting.closed = {**self._closed_above, **own, **self._missing}
        self._judge_losses(exposure, now_ms)

    def _judge_losses(self, exposure: Exposure, now_ms: int) -> None:
        limits = self.setup.limits
        fresh = [
            one
            for one in exposure.holdings
            if self._market.is_fresh(one, limits.mark_age_ms, now_ms)
        ]
        seen = measured(self.equity, exposure, fresh=fresh, now_ms=now_ms)
        if seen is None:
            return
        self.equity, open_gain = seen
        money = next(iter(exposure.instruments.values()))
        self._reached(risk.breaches(limits, self.equity, open_gain, money=money))

    def _reached(self, found: Sequence[Breach]) -> None:
        """Stop for losses; what is stopped for good can only be closed besides, once."""
        if self.life in (BotState.RISK_STOPPED, BotState.ERROR):
            known = {one.limit for one in self.breaches}
            closes = [one for one in found if one.action is RiskAction.FLATTEN_AND_STOP]
            found = [] if self._flattening else [one for one in closes if one.limit not in known]
        if found:
            self._stop(found)

    def _stop(self, found: Sequence[Breach]) -> None:
        """Cancel everything; close what is held where a limit demands it."""
        self.breaches.extend(found)
        if self.life is not BotState.ERROR:
            # What has failed stays there: a person looks at it anyway.
            self.life = BotState.RISK_STOPPED
        self._quoting.clear()
        if any(one.action is RiskAction.FLATTEN_AND_STOP for one in found):
            self._flattening = self._quoting.closing = True

    def _folded(
        self, before: BotOrder, after: BotOrder, now_ms: int, code: str = ""
    ) -> list[Request]:
        if after == before:
            return []
        order_id = after.order.order_id
        slot = self._table.slot_of(order_id)
        self._table.keep(slot, after, code)
        if after.breach and not before.breach:
            self._stop([risk.breach(risk.RiskLimit.ORDER_AFTER_ITS_END, after.breach)])
            return self._requests(now_ms)
        if after.settled and not before.settled:
            event = EndEvent(slot, order_id, after.filled, code)
            return self._decide(event, now_ms)
        return self._requests(now_ms)


_NOTHING = Written((), (), ())
AnyBot = Bot[Any, Any]
