"""One bot: a strategy, its orders and holdings, and the limits that it obeys. Without I/O.

Events go in with the time, requests come out; the same object runs in backtests, on paper and live.
It sends nothing that its venue could take after the lease ends, nothing without a permit, and
nothing that risk does not let in; cancels need none of the three.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from services.bots.core import orders, permit, risk
from services.bots.core.holding import Holding, booked, paid_funding
from services.bots.core.orders import BotOrder
from services.bots.core.permit import Permit
from services.bots.core.reconcile import AmendWanted, CancelWanted, PlaceWanted, wanted
from services.bots.core.risk import Breach, Exposure, MarkPoint, RiskAction, RiskLimits
from services.bots.core.strategy import (
    BookEvent,
    EndEvent,
    FillEvent,
    Finished,
    FundingEvent,
    Intent,
    PrintEvent,
    Quote,
    Standing,
    Strategy,
    StrategyEvent,
    TimerEvent,
    View,
    Wake,
    Withdraw,
)
from tradingtools.domain.book import BookStatus
from tradingtools.domain.bot_order_states import ENDED, BotOrderState, PendingRequest
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.ports import Meaning, Side
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    Fill,
    Funding,
    MarketEvent,
    MarkPrice,
    NewOrder,
    OrderReport,
    PhaseChange,
    Print,
    Receipt,
    RestingTime,
    TradingBook,
    TradingCapabilities,
)

DEADLINE_MS = 2_000
"""A request that its venue has not taken by then is void."""
CANCEL_AGAIN_MS = 1_000
LOOK_AGAIN_MS = 2_500
ANSWER_WITHIN_MS = 3_000
"""Longest time from a request's deadline to its answer."""
REFUSED_PAUSE_MS = 1_000
"""A slot whose order was refused rests for so long."""
MINUTE_MS = 60_000
DAY_MS = 86_400_000

Config = TypeVar("Config")
State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class PermitAsked:
    """A permit is to be made durable; the bot is told by ``granted``."""

    permit: Permit


@dataclass(frozen=True, slots=True)
class LookUp:
    """An order is to be read at its venue; the bot is told by ``reported`` or ``not_found``."""

    order: CancelOrder


@dataclass(frozen=True, slots=True)
class Written:
    """Orders and fills that are to be written together, so that they agree after a crash."""

    orders: tuple[tuple[str, BotOrder], ...]
    """With their slots."""
    fills: tuple[Fill, ...]
    """Booked, or undone, oldest first."""


Request = NewOrder | AmendOrder | CancelOrder | PermitAsked | LookUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup(Generic[Config]):
    """The parts of a bot that do not change while it runs."""

    bot_id: str
    epoch: int
    config: Config
    instruments: Mapping[str, Instrument]
    capabilities: Mapping[str, TradingCapabilities]
    """By venue."""
    limits: RiskLimits = field(default_factory=RiskLimits)
    clock_error_ms: int = 500


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
    """

    def __init__(
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
    ) -> None:
        self.setup = setup
        self.strategy = strategy
        self.state = state
        self.life = BotState.STARTING
        self.lease_until_ms = lease_until_ms
        self.number = number
        self.orders: dict[str, BotOrder] = {}
        self.holdings: dict[str, Holding] = dict(holdings or {})
        self.refusals: dict[str, str] = {}
        """Why the quote of a slot does not stand, by slot."""
        self.breaches: list[Breach] = []
        """Limits that stopped it; a person reads them before it is resumed."""
        self.finished = False
        """Its strategy has nothing left to do."""
        self.failure: Exception | None = None
        """Of its strategy, which ended it."""
        self._changed: set[str] = set()
        self._booked: list[Fill] = []
        self._instruments = dict(setup.instruments)
        self._slots: dict[str, str] = {}
        self._slot_of: dict[str, str] = {}
        self._desired: dict[str, Quote] = {}
        self._books: dict[str, TradingBook] = {}
        self._fundings: dict[str, Funding] = {}
        self._marks: dict[str, MarkPoint] = {}
        self._standing: dict[str, Standing] = {}
        self._permits: dict[tuple[str, Side], Permit] = {}
        self._asked: set[tuple[str, Side]] = set()
        self._sent: deque[int] = deque()
        self._cancelled_ms: dict[str, int] = {}
        self._looked_ms: dict[str, int] = {}
        self._resting_until_ms: dict[str, int] = {}
        self._wake_ms: int | None = None
        self._flattening = False
        self._equity = equity
        for slot, order in orders_:
            self._keep(slot, orders.orphaned(order))

    def adopt(self, new: NewOrder) -> None:
        """Take an order of this bot that a former life sent and did not write; it is ended."""
        mine = orders.intend(new, bot_id=self.setup.bot_id, epoch=self.setup.epoch)
        self._keep(f"found:{new.order_id}", orders.orphaned(orders.sending(mine)))

    # ---------------------------------------------------------------------------------- commands

    def run(self, now_ms: int) -> list[Request]:
        """Begin to trade, if reconciling has not stopped it: it has been done."""
        if self.life is not BotState.STARTING:
            return self._requests(now_ms)
        self.life = BotState.RUNNING
        return self._decide(TimerEvent(), now_ms)

    def end(self, life: BotState, now_ms: int) -> list[Request]:
        """Cancel everything on the way to PAUSED, STOPPED or ERROR."""
        self.life = life
        self._desired.clear()
        return self._requests(now_ms)

    @property
    def quiet(self) -> bool:
        """Return whether no order of it may fill, and all fills are booked."""
        return all(one.settled for one in self.orders.values())

    # ------------------------------------------------------------------------------------ events

    def market(self, event: MarketEvent, now_ms: int) -> list[Request]:
        """Take what a market tells."""
        if isinstance(event, TradingBook):
            self._books[event.instrument_id] = event
            if event.status is BookStatus.FRESH and event.bids and event.asks:
                middle = (event.bids[0][0] + event.asks[0][0]) // 2
                self._marks[event.instrument_id] = MarkPoint(price=middle, at_ms=now_ms)
            return self._decide(BookEvent(event.instrument_id), now_ms)
        if isinstance(event, Print):
            return self._decide(PrintEvent(event), now_ms)
        if isinstance(event, Funding):
            self._fundings[event.instrument_id] = event
            return self._decide(FundingEvent(event), now_ms)
        if isinstance(event, PhaseChange):
            self._instruments[event.instrument.id] = replace(event.instrument, phase=event.phase)
            return self._decide(BookEvent(event.instrument.id), now_ms)
        if isinstance(event, MarkPrice):
            self._marks[event.instrument_id] = MarkPoint(price=event.price, at_ms=now_ms)
        return []

    def heard(self, event: StrategyEvent, now_ms: int) -> list[Request]:
        """Take what is meant for the strategy alone, such as a signal."""
        return self._decide(event, now_ms)

    def tick(self, now_ms: int) -> list[Request]:
        """Let time pass: timers, repeated cancels, look-ups."""
        if self._wake_ms is not None and now_ms >= self._wake_ms:
            self._wake_ms = None
            return self._decide(TimerEvent(), now_ms)
        if self._flattening and self.quiet:
            self._flatten()
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
            slot = self._slot_of[order_id]
            self._resting_until_ms[slot] = now_ms + REFUSED_PAUSE_MS
            self.refusals[slot] = f"refused by its venue: {receipt.code} {receipt.detail}".strip()
        return self._folded(before, after, now_ms, receipt.code)

    def reported(self, report: OrderReport, now_ms: int, *, read_ms: int = 0) -> list[Request]:
        """Take the venue's word on an order; a stranger's is none of this bot's business."""
        before = self.orders.get(report.order_id)
        if before is None:
            return []
        after = orders.reported(before, report, read_ms=read_ms)
        return self._folded(before, after, now_ms, report.code)

    def not_found(self, order_id: str, *, asked_ms: int, now_ms: int) -> list[Request]:
        """Take that the venue knows no such order."""
        before = self.orders.get(order_id)
        if before is None:
            return []
        after = orders.not_found(
            before,
            self.setup.capabilities[before.order.instrument.venue],
            asked_ms=asked_ms,
            clock_error_ms=self.setup.clock_error_ms,
        )
        return self._folded(before, after, now_ms, "NOT_FOUND")

    def filled(self, fill: Fill, now_ms: int) -> list[Request]:
        """Book a fill, or undo one."""
        before = self.orders.get(fill.order_id)
        if before is None:
            return []
        after = orders.filled(before, fill)
        slot = self._slot_of[fill.order_id]
        stood = fill.trade_id in before.fills
        if stood == (fill.trade_id in after.fills):
            return self._folded(before, after, now_ms)
        self._booked.append(fill)
        instrument = self._instruments[fill.instrument_id]
        held = self.holdings.get(fill.instrument_id, Holding())
        if fill.undone:
            other: Side = "SELL" if fill.side == "BUY" else "BUY"
            turned = replace(fill, side=other, fee=-fill.fee)
            self.holdings[fill.instrument_id] = booked(held, instrument, turned)
        else:
            self.holdings[fill.instrument_id] = booked(held, instrument, fill)
        if not (after.settled or after.breach):
            # Before its strategy has heard of a part, its quote would ask for that part again.
            self._keep(slot, after)
            return self._decide(FillEvent(fill, slot), now_ms)
        found = self._folded(before, after, now_ms)
        return found + self._decide(FillEvent(fill, slot), now_ms)

    def funded(self, instrument_id: str, amount: int) -> None:
        """Book a funding payment; above zero: it was got."""
        held = self.holdings.get(instrument_id, Holding())
        self.holdings[instrument_id] = paid_funding(held, amount)

    def granted(self, given: Permit, now_ms: int) -> list[Request]:
        """Take a permit that is durable now."""
        key = given.instrument_id, given.side
        self._asked.discard(key)
        self._permits[key] = given
        return self._requests(now_ms)

    def written(self) -> Written:
        """Return what changed since the last call, and let go of what is settled."""
        fills, self._booked = self._booked, []
        found = [(self._slot_of[one], self.orders[one]) for one in self._changed]
        self._changed.clear()
        for _, order in found:
            if order.settled:
                order_id = order.order.order_id
                del self.orders[order_id], self._slot_of[order_id]
                self._cancelled_ms.pop(order_id, None)
                self._looked_ms.pop(order_id, None)
        return Written(tuple(found), tuple(fills))

    def denied(self, asked: Permit) -> None:
        """Take that a permit was not made durable; it is asked for again when it is needed."""
        self._asked.discard((asked.instrument_id, asked.side))

    # ------------------------------------------------------------------------------------- seeing

    def view(self, now_ms: int) -> View:
        """Return what the strategy sees."""
        return View(
            now_ms=now_ms,
            instruments=self._instruments,
            books=self._books,
            fundings=self._fundings,
            holdings=self.holdings,
            standing=self._standing,
        )

    def exposure(self, now_ms: int) -> Exposure:
        """Return what risk judges."""
        while self._sent and self._sent[0] <= now_ms - MINUTE_MS:
            self._sent.popleft()
        return Exposure(
            holdings=self.holdings,
            orders=self._unsettled(),
            instruments=self._instruments,
            marks=self._marks,
            sent_last_minute=len(self._sent),
        )

    def explain(self, now_ms: int) -> dict[str, str]:
        """Return why each slot has its quote, or none."""
        said = dict(self.strategy.explain(self.setup.config, self.state, self.view(now_ms)))
        for slot, why in self.refusals.items():
            said[slot] = f"{said.get(slot, '')}; {why}".removeprefix("; ")
        return said

    @property
    def equity(self) -> risk.Equity | None:
        """Return the result at the last fresh marks; None: there were none yet."""
        return self._equity

    def mid(self, instrument_id: str) -> int | None:
        """Return the last mark of an instrument, in units of price."""
        mark = self._marks.get(instrument_id)
        return None if mark is None else mark.price

    # ---------------------------------------------------------------------------------- decisions

    def _decide(self, event: StrategyEvent, now_ms: int) -> list[Request]:
        if self.life is BotState.RUNNING:
            try:
                self.state, intents = self.strategy.on(
                    self.setup.config, self.state, event, self.view(now_ms)
                )
            except Exception as error:  # noqa: BLE001 - one strategy must not stop a wallet's others
                self.failure = error
                return self.end(BotState.ERROR, now_ms)
            for intent in intents:
                self._take(intent)
        return self._requests(now_ms)

    def _take(self, intent: Intent) -> None:
        if isinstance(intent, Quote):
            self._desired[intent.slot] = intent
        elif isinstance(intent, Withdraw):
            self._desired.pop(intent.slot, None)
            self.refusals.pop(intent.slot, None)
        elif isinstance(intent, Wake):
            earliest = self._wake_ms
            self._wake_ms = intent.at_ms if earliest is None else min(earliest, intent.at_ms)
        elif isinstance(intent, Finished):
            self.life = BotState.STOPPING
            self.finished = True
            self._desired.clear()

    def _requests(self, now_ms: int) -> list[Request]:
        if self.life is BotState.RUNNING:
            self._judge(now_ms)
        self._give_up_waiting(now_ms)
        found: list[Request] = []
        for slot in dict.fromkeys((*self._slots, *self._desired)):
            one = self._request(slot, now_ms)
            if one is not None:
                found.append(one)
        found.extend(self._look_ups(now_ms))
        return found

    def _request(self, slot: str, now_ms: int) -> Request | None:
        quote = self._desired.get(slot)
        order = self.orders.get(self._slots.get(slot, ""))
        if quote is None and order is None:
            return None
        named = quote.instrument_id if quote else order.order.instrument.id if order else ""
        instrument = self._instruments[named]
        able = self.setup.capabilities[instrument.venue]
        want = wanted(quote, order, instrument, able)
        if want is None:
            return None
        if isinstance(want, CancelWanted):
            return self._cancel(want.order, now_ms)
        if isinstance(want, AmendWanted):
            return self._amend(slot, want, instrument, now_ms)
        return self._place(slot, want, instrument, now_ms)

    def _cancel(self, order: BotOrder, now_ms: int) -> CancelOrder | None:
        order_id = order.order.order_id
        if now_ms - self._cancelled_ms.get(order_id, -CANCEL_AGAIN_MS) < CANCEL_AGAIN_MS:
            return None
        self._cancelled_ms[order_id] = now_ms
        self._keep(self._slot_of[order_id], orders.cancelling(order))
        return self.named(order, now_ms)

    def named(self, order: BotOrder, now_ms: int) -> CancelOrder:
        """Return an order's names, for a cancel or a look-up."""
        return CancelOrder(
            order_id=order.order.order_id,
            venue_order_id=order.venue_order_id,
            instrument=order.order.instrument,
            not_after_ms=now_ms + DEADLINE_MS,
        )

    def _place(
        self, slot: str, want: PlaceWanted, instrument: Instrument, now_ms: int
    ) -> Request | None:
        quote = want.quote
        if now_ms < self._resting_until_ms.get(slot, 0):
            return None
        size = instrument.size_in_lots(quote.size)
        until = now_ms + DEADLINE_MS
        if not self._admits(slot, instrument, quote.side, quote.price, size, now_ms):
            return None
        given = self._permit(instrument, quote.side, self.number, quote.price, size, until)
        if isinstance(given, PermitAsked | None):
            return given
        self._permits[instrument.id, quote.side] = given.spend(size)
        new = NewOrder(
            order_id=permit.order_id(self.setup.bot_id, self.setup.epoch, self.number),
            instrument=instrument,
            side=quote.side,
            price=quote.price,
            size=size,
            time_in_force=quote.time_in_force,
            post_only=quote.post_only,
            reduce_only=quote.reduce_only,
            not_after_ms=until,
        )
        self.number += 1
        self._sent.append(now_ms)
        mine = orders.intend(new, bot_id=self.setup.bot_id, epoch=self.setup.epoch)
        self._keep(slot, orders.sending(mine))
        if quote.time_in_force in (RestingTime.IOC, RestingTime.FOK):
            del self._desired[slot]
        return new

    def _amend(
        self, slot: str, want: AmendWanted, instrument: Instrument, now_ms: int
    ) -> Request | None:
        order, until = want.order, now_ms + DEADLINE_MS
        price = order.price if want.price is None else want.price
        whole = want.size or order.size
        more = max(whole - order.size, 0)
        worse = price > order.price if order.order.side == "BUY" else price < order.price
        left = whole - order.filled
        # It is judged as a new order in the place of the old one.
        if (more or worse) and not self._admits(
            slot, instrument, order.order.side, price, left, now_ms, without=order
        ):
            return self._cancel(order, now_ms)
        given = self._permit(instrument, order.order.side, None, price, more, until)
        if isinstance(given, PermitAsked | None):
            return given
        self._permits[instrument.id, order.order.side] = given.spend(more)
        change = AmendOrder(
            order_id=order.order.order_id,
            request_id=permit.order_id(self.setup.bot_id, self.setup.epoch, self.number),
            venue_order_id=order.venue_order_id,
            instrument=instrument,
            price=want.price,
            size=want.size,
            not_after_ms=until,
        )
        self.number += 1
        self._sent.append(now_ms)
        self._keep(slot, orders.amending(order, change))
        return change

    def _admits(
        self,
        slot: str,
        instrument: Instrument,
        side: Side,
        price: int,
        size: int,
        now_ms: int,
        *,
        without: BotOrder | None = None,
    ) -> bool:
        seen = self.exposure(now_ms)
        if without is not None:
            seen = replace(seen, orders=[one for one in seen.orders if one != without])
        breach = risk.admits(
            self.setup.limits,
            seen,
            instrument=instrument,
            side=side,
            price=price,
            size=size,
            now_ms=now_ms,
        )
        if breach is None:
            self.refusals.pop(slot, None)
            return True
        self.refusals[slot] = f"{breach.limit}: {breach.detail}"
        return False

    def _permit(
        self,
        instrument: Instrument,
        side: Side,
        number: int | None,
        price: int,
        size: int,
        until_ms: int,
    ) -> Permit | PermitAsked | None:
        if until_ms > self.lease_until_ms:
            return None
        key = instrument.id, side
        given = self._permits.get(key)
        if given is not None and given.covers(
            number=given.first if number is None else number,
            price=price,
            size=size,
            until_ms=until_ms,
        ):
            return given
        if key in self._asked:
            return None
        self._asked.add(key)
        return PermitAsked(
            permit.asked(
                bot_id=self.setup.bot_id,
                epoch=self.setup.epoch,
                instrument=instrument,
                side=side,
                number=self.number if number is None else number,
                price=price,
                size=max(size, instrument.minimum_size),
                expires_ms=self.lease_until_ms,
            )
        )

    # -------------------------------------------------------------------------------------- risk

    def _judge(self, now_ms: int) -> None:
        limits, exposure = self.setup.limits, self.exposure(now_ms)
        for instrument_id, held in self.holdings.items():
            mark = self._marks.get(instrument_id)
            if held.size and (mark is None or now_ms - mark.at_ms > limits.mark_age_ms):
                return
        result, open_gain = risk.result(exposure)
        day = now_ms // DAY_MS
        if self._equity is None:
            self._equity = risk.Equity(result=result, day_start=result, peak=result, day=day)
        start = result if day != self._equity.day else self._equity.day_start
        peak = max(self._equity.peak, result)
        self._equity = risk.Equity(result=result, day_start=start, peak=peak, day=day)
        found = risk.breaches(limits, self._equity, open_gain)
        if found:
            self.breaches.extend(found)
            self.life = BotState.RISK_STOPPED
            self._desired.clear()
            self._flattening = any(one.action is RiskAction.FLATTEN_AND_STOP for one in found)

    def _flatten(self) -> None:
        """Close each holding at the third best price at worst, again and again until it is flat."""
        for instrument_id, held in self.holdings.items():
            book = self._books.get(instrument_id)
            levels = (book.bids if held.size > 0 else book.asks) if book else ()
            if held.size and levels:
                slot = f"flatten:{instrument_id}"
                self._desired[slot] = Quote(
                    slot=slot,
                    instrument_id=instrument_id,
                    side="SELL" if held.size > 0 else "BUY",
                    price=levels[min(len(levels), 3) - 1][0],
                    size=abs(held.size),
                    time_in_force=RestingTime.IOC,
                    # Spot cannot be sold short, and its exchanges take no such order.
                    reduce_only=self._instruments[instrument_id].kind is not InstrumentKind.SPOT,
                    why="a loss has reached its limit",
                )

    # ------------------------------------------------------------------------------------- orders

    def _unsettled(self) -> list[BotOrder]:
        return [one for one in self.orders.values() if not one.settled]

    def _folded(
        self, before: BotOrder, after: BotOrder, now_ms: int, code: str = ""
    ) -> list[Request]:
        if after == before:
            return []
        order_id = after.order.order_id
        slot = self._slot_of[order_id]
        self._keep(slot, after)
        if after.breach and not before.breach:
            self.breaches.append(
                Breach(
                    limit=risk.RiskLimit.ORDER_AFTER_ITS_END,
                    action=RiskAction.CANCEL_AND_STOP,
                    detail=after.breach,
                )
            )
            return self.end(BotState.RISK_STOPPED, now_ms)
        if after.settled and not before.settled:
            event = EndEvent(slot, order_id, after.filled, code)
            return self._decide(event, now_ms)
        return self._requests(now_ms)

    def _keep(self, slot: str, order: BotOrder) -> None:
        order_id = order.order.order_id
        self.orders[order_id] = order
        self._slots[slot] = order_id
        self._slot_of[order_id] = slot
        self._changed.add(order_id)
        if order.state in ENDED:
            self._standing.pop(slot, None)
            return
        self._standing[slot] = Standing(
            slot=slot,
            order_id=order_id,
            instrument_id=order.order.instrument.id,
            side=order.order.side,
            price=order.price,
            size=order.size,
            filled=order.filled,
            certain=order.pending is PendingRequest.NONE and order.state is not _UNKNOWN,
        )

    def _give_up_waiting(self, now_ms: int) -> None:
        """Call a request UNKNOWN whose answer nobody brings any more."""
        silent = Receipt(meaning=Meaning.UNKNOWN, code="NO_ANSWER")
        for order_id, order in list(self.orders.items()):
            request, deadline = self._awaited(order)
            if deadline is not None and now_ms > deadline + ANSWER_WITHIN_MS:
                after = orders.answered(order, request, silent)
                self._keep(self._slot_of[order_id], after)

    def _awaited(self, order: BotOrder) -> tuple[PendingRequest, int | None]:
        if order.state is BotOrderState.SUBMITTING:
            return PendingRequest.PLACE, order.order.not_after_ms
        if order.pending is PendingRequest.AMEND and order.change is not None:
            return PendingRequest.AMEND, order.change.not_after_ms
        if order.pending is PendingRequest.CANCEL:
            return PendingRequest.CANCEL, self._cancelled_ms[order.order.order_id] + DEADLINE_MS
        return PendingRequest.NONE, None

    def _look_ups(self, now_ms: int) -> list[LookUp]:
        found = []
        for order_id, order in self.orders.items():
            if order.state is not _UNKNOWN:
                continue
            if now_ms - self._looked_ms.get(order_id, -LOOK_AGAIN_MS) >= LOOK_AGAIN_MS:
                self._looked_ms[order_id] = now_ms
                found.append(LookUp(self.named(order, now_ms)))
        return found


_UNKNOWN = BotOrderState.UNKNOWN

AnyBot = Bot[Any, Any]
