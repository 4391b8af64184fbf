"""A bot against a venue that loses, repeats and reorders, with deaths of its engine in between.

The venue is the truth: it knows each order that was taken and each fill. The strategy asks for
random quotes; what must hold does not depend on what it asks for. What a life had not written dies
with it, an answer comes late or never, a fill may be undone, and an owner whose lease has ended
wakes up and goes on.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from services.bots.core import permit
from services.bots.core.bot import Bot
from services.bots.core.holding import Holding
from services.bots.core.orders import BotOrder
from services.bots.core.requests import (
    ANSWER_WITHIN_MS,
    DEADLINE_MS,
    LookUp,
    PermitRequest,
    Request,
)
from services.bots.core.risk import RiskLimits
from services.bots.core.setup import Setup
from services.bots.core.strategy import BookEvent, Intent, Quote, StrategyEvent, View, Withdraw
from services.bots.wallet import account
from services.bots.wallet.making import found_order
from tests.unit.bots.samples import CANCELS, book, swap
from tradingtools.domain.bot_order_states import PendingRequest
from tradingtools.domain.bot_states import BotState
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    Fill,
    NewOrder,
    OrderReport,
    OrderStatus,
    Receipt,
    TradingCapabilities,
)

ONE = swap()
MAX = 300
LEASE_MS = 40_000
QUOTED = book(ONE, [(640_000, 9)], [(640_001, 9)])


@dataclass(frozen=True)
class Whim:
    """Quotes at random: what it asks for is a function of its state."""

    def begin(self, config: int) -> int:
        return config

    def on(
        self, config: int, state: int, event: StrategyEvent, view: View
    ) -> tuple[int, tuple[Intent, ...]]:
        if not isinstance(event, BookEvent):
            return state, ()
        rng = random.Random(state)  # noqa: S311
        slot = rng.choice(["a", "b", "c"])
        if rng.random() < 0.3:
            return state + 1, (Withdraw(slot=slot),)
        quote = Quote(
            slot=slot,
            instrument_id=ONE.id,
            side=rng.choice(["BUY", "SELL"]),
            price=640_000 + rng.randrange(-50, 50),
            size=rng.randrange(1, 200),
            post_only=rng.random() < 0.5,
        )
        return state + 1, (quote,)

    def explain(self, config: int, state: int, view: View) -> Mapping[str, str]:
        return {}


@dataclass
class Resting:
    new: NewOrder
    price: int
    size: int
    filled: int = 0
    status: OrderStatus = OrderStatus.OPEN
    request_id: str = ""

    @property
    def open(self) -> bool:
        return self.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


Sent = NewOrder | AmendOrder | CancelOrder


@dataclass(frozen=True)
class Answer:
    """What a venue made of a request, and when."""

    sent: Sent
    meaning: Meaning
    at_ms: int


@dataclass
class Venue:
    """The truth: what was taken, what was filled, and the messages about it."""

    rng: random.Random
    amends: bool
    orders: dict[str, Resting] = field(default_factory=dict)
    flying: list[Sent] = field(default_factory=list)
    reported: list[OrderReport | Fill] = field(default_factory=list)
    every: list[OrderReport | Fill] = field(default_factory=list)
    position: int = 0
    trades: int = 0
    wrong: list[str] = field(default_factory=list)
    leases: dict[int, int] = field(default_factory=dict)
    """By epoch, its end."""
    undone: int = 0
    """Size of all fills that were undone: what was reserved for them is used twice."""

    def arrive(self, now_ms: int) -> Answer:
        """Let one request arrive, in any order; one after its deadline is void."""
        self.expire(now_ms)
        one = self.flying.pop(self.rng.randrange(len(self.flying)))
        return Answer(one, self._do(one, now_ms), now_ms)

    def _do(self, one: Sent, now_ms: int) -> Meaning:
        if now_ms > last_ms(one):
            return Meaning.NOT_ACCEPTED
        if isinstance(one, NewOrder):
            if one.order_id in self.orders:
                self.wrong.append(f"{one.order_id} was placed twice")
            if now_ms > self.leases[epoch_of(one.order_id)] and one.expires_ms is None:
                self.wrong.append(f"{one.order_id} was taken after the lease")
            self.orders[one.order_id] = Resting(one, one.price, one.size)
            self.notify(one.order_id)
            return Meaning.ACCEPTED
        known = self.orders.get(one.order_id)
        if known is None or not known.open:
            return Meaning.REJECTED
        if isinstance(one, CancelOrder):
            known.status = OrderStatus.CANCELLED
        else:
            known.price = known.price if one.price is None else one.price
            known.size = known.size if one.size is None else max(one.size, known.filled)
            known.request_id = one.request_id
            if known.size == known.filled:
                known.status = OrderStatus.FILLED
        self.notify(one.order_id)
        return Meaning.ACCEPTED

    def expire(self, now_ms: int) -> None:
        """End what has come to its end."""
        for order_id, one in self.orders.items():
            if one.open and one.new.expires_ms is not None and now_ms > one.new.expires_ms:
                one.status = OrderStatus.EXPIRED
                self.notify(order_id)

    def trade(self) -> None:
        """Fill a part of an open order."""
        standing = [one for one in self.orders.values() if one.open]
        if not standing:
            return
        one = self.rng.choice(standing)
        size = self.rng.randint(1, one.size - one.filled)
        one.filled += size
        whole = one.filled == one.size
        one.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        self.position += size if one.new.side == "BUY" else -size
        self.trades += 1
        fill = Fill(
            trade_id=f"t{self.trades}",
            order_id=one.new.order_id,
            venue_order_id=one.new.order_id,
            instrument_id=ONE.id,
            side=one.new.side,
            price=one.price,
            size=size,
            fee=0,
            fee_currency="USDT",
            maker=True,
            venue_ms=0,
        )
        self.reported.append(fill)
        self.every.append(fill)
        self.notify(one.new.order_id)

    def undo(self) -> None:
        """Let the settlement of a fill fail."""
        fills = [one for one in self.every if isinstance(one, Fill)]
        undone = {one.trade_id for one in fills if one.undone}
        standing = [one for one in fills if one.trade_id not in undone]
        if standing:
            one = replace(self.rng.choice(standing), undone=True)
            self.position -= one.size if one.side == "BUY" else -one.size
            self.undone += one.size
            self.reported.append(one)
            self.every.append(one)

    def notify(self, order_id: str) -> None:
        self.reported.append(self.report(order_id))

    def report(self, order_id: str) -> OrderReport:
        one = self.orders[order_id]
        return OrderReport(
            order_id=order_id,
            venue_order_id=order_id,
            instrument_id=ONE.id,
            side=one.new.side,
            status=one.status,
            price=one.price,
            size=one.size,
            filled_size=one.filled,
            venue_ms=0,
            request_id=one.request_id,
        )

    def worst(self) -> int:
        """Largest holding that could come of what rests or may arrive."""
        left = {"BUY": 0, "SELL": 0}
        for one in self.orders.values():
            if one.open:
                left[one.new.side] += one.size - one.filled
        return max(self.position + left["BUY"], left["SELL"] - self.position)


ENDS = replace(CANCELS, rests_for_ms=2_500, horizon_ms=500)
"""A venue that knows no deadline of a request: each order has an end of its own."""


def last_ms(one: Sent) -> int:
    """Return when a request is void: at its deadline, or when the order has ended."""
    expires = one.expires_ms if isinstance(one, NewOrder) else None
    return one.not_after_ms if expires is None else expires


def epoch_of(order_id: str) -> int:
    """Return the epoch of an order's owner."""
    found = permit.number_of(order_id, "bot1")
    assert found is not None
    return found[0]


class Run:
    """One bot and its venue, for some hundred turns.

    Args:
        seed: of all chance.
        capabilities: of the venue.
        undoes: it undoes fills.
    """

    def __init__(
        self, seed: int, capabilities: TradingCapabilities, *, undoes: bool = False
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311
        self.capabilities = capabilities
        self.undoes = undoes
        self.venue = Venue(self.rng, capabilities.amend)
        self.now = 1_000_000
        self.epoch = 0
        self.journal: dict[str, str] = {}
        """Slots of all orders that left."""
        self.answers: list[Answer] = []
        self.rows: dict[str, tuple[str, BotOrder]] = {}
        self.standing: tuple[int, dict[str, Holding]] = (seed, {})
        """What is written: all orders, the strategy's state and the holdings."""
        self.changing = False
        """A change has left that is not written."""
        self.former: Bot[int, int] | None = None
        """An owner that stands still, and wakes up after its lease."""
        self.bot = self.begin()
        self.bot.run(self.now)

    @property
    def lease_until_ms(self) -> int:
        return self.venue.leases[self.epoch]

    def begin(self) -> Bot[int, int]:
        self.epoch += 1
        self.venue.leases[self.epoch] = self.now + LEASE_MS
        state, holdings = self.standing
        setup = Setup(
            bot_id="bot1",
            epoch=self.epoch,
            config=state,
            instruments={ONE.id: ONE},
            capabilities={"okx": self.capabilities},
            limits=RiskLimits(max_position=MAX, mark_age_ms=10**9),
        )
        return Bot(
            setup,
            Whim(),
            state,
            orders_=[(slot, one) for slot, one in self.rows.values() if not one.settled],
            holdings=holdings,
            number=1,
            lease_until_ms=self.lease_until_ms,
        )

    def write(self) -> None:
        """Make durable what the bot has; all of it goes together."""
        for slot, order in self.bot.written().orders:
            self.rows[order.order.order_id] = (slot, order)
        self.standing = (self.bot.state, dict(self.bot.holdings))
        self.changing = False

    def act(self, requests: list[Request]) -> None:
        for one in requests:
            if isinstance(one, PermitRequest):
                self.act(self.bot.granted(one.permit, self.now))
            elif isinstance(one, LookUp):
                self.look(one.order.order_id)
            else:
                if isinstance(one, NewOrder):
                    self.alone(one)
                    if self.capabilities.order_id_known_before:
                        self.write()
                self.changing = self.changing or isinstance(one, AmendOrder)
                self.venue.flying.append(one)
                if isinstance(one, CancelOrder) and self.rng.random() < 0.2:
                    self.venue.flying.append(one)
                if self.rng.random() < 0.3:
                    self.answer(Answer(one, Meaning.UNKNOWN, self.now))

    def alone(self, new: NewOrder) -> None:
        """Note a second order for a slot whose first one may still fill."""
        slot = self.journal[new.order_id] = self.bot.slot_of(new.order_id)
        places = (one for one in self.venue.flying if isinstance(one, NewOrder))
        arriving = {one.order_id for one in places if last_ms(one) >= self.now}
        resting = {order_id for order_id, one in self.venue.orders.items() if one.open}
        for order_id in arriving | resting:
            if self.journal[order_id] == slot:
                self.venue.wrong.append(f"{new.order_id} stands beside {order_id}")

    def answer(self, one: Answer) -> None:
        kinds = {NewOrder: PendingRequest.PLACE, AmendOrder: PendingRequest.AMEND}
        kind = kinds.get(type(one.sent), PendingRequest.CANCEL)
        receipt = Receipt(meaning=one.meaning)
        self.act(self.bot.answered(one.sent.order_id, kind, receipt, self.now))

    def look(self, order_id: str) -> None:
        if order_id in self.venue.orders:
            report = self.venue.report(order_id)
            self.act(self.bot.reported(report, self.now, read_ms=self.now))
        else:
            self.act(self.bot.not_found(order_id, requested_ms=self.now, now_ms=self.now))

    def turn(self) -> None:
        if self.rng.random() < 0.4:
            self.write()
        self.venue.expire(self.now)
        self.now += self.rng.choice([1, 5, 20, 300])
        self.step(self.rng.random())
        if self.changing and self.rng.random() < 0.1:
            self.die()
        self.compare()
        if self.former is not None and self.rng.random() < 0.1:
            self.wake(self.former)

    def compare(self) -> None:
        """Note an order that may fill by more than its bot knows."""
        for order_id, one in self.venue.orders.items():
            known = self.bot.orders.get(order_id)
            if one.open and known is not None and one.size > known.max_filled:
                self.venue.wrong.append(f"{order_id} may fill {one.size}, {known.max_filled} known")

    def step(self, choice: float) -> None:
        """Let one thing happen, by chance."""
        if choice < 0.35:
            self.act(self.bot.market(QUOTED, self.now))
        elif choice < 0.55 and self.venue.flying:
            self.arrive()
        elif choice < 0.6 and self.answers:
            self.answered()
        elif choice < 0.75:
            self.venue.trade()
        elif choice < 0.94 and self.venue.reported:
            self.hear(self.venue.reported[self.rng.randrange(len(self.venue.reported))])
        elif choice < 0.95 and self.undoes:
            self.venue.undo()
        elif choice > 0.994:
            self.die()
        elif self.now > self.lease_until_ms - LEASE_MS // 2:
            self.venue.leases[self.epoch] = self.now + LEASE_MS
            self.bot.leased(self.lease_until_ms)
        else:
            self.act(self.bot.tick(self.now))

    def arrive(self) -> None:
        answer = self.venue.arrive(self.now)
        if epoch_of(answer.sent.order_id) == self.epoch and self.rng.random() < 0.6:
            self.answers.append(answer)

    def answered(self) -> None:
        """Bring an answer, in any order; one that would come too late never comes."""
        one = self.answers.pop(self.rng.randrange(len(self.answers)))
        if self.now <= one.sent.not_after_ms + ANSWER_WITHIN_MS:
            self.answer(one)

    def die(self) -> None:
        """End a life, or let it stand still, and begin another one when its lease has ended."""
        self.former = self.bot if self.rng.random() < 0.5 else None
        for end in (self.lease_until_ms + 1, self.lease_until_ms + 1 + DEADLINE_MS + 500):
            while self.venue.flying and self.rng.random() < 0.8:
                self.arrive()
                self.venue.trade()
            self.now = end
        self.answers.clear()
        self.changing = False
        self.bot = self.begin()
        self.read()
        for order_id, one in self.venue.orders.items():
            if one.open and self.bot.orders[order_id].price != one.price:
                self.venue.wrong.append(f"{order_id} rests at another price than is known")
        self.act(self.bot.run(self.now))

    def wake(self, former: Bot[int, int]) -> None:
        """Let an owner go on that does not know that its lease has ended; nobody gives it one."""
        for one in (*former.market(QUOTED, self.now), *former.tick(self.now)):
            if isinstance(one, PermitRequest):
                former.denied(one.permit)
            elif isinstance(one, NewOrder):
                self.journal[one.order_id] = f"former:{one.order_id}"
                self.venue.flying.append(one)

    def read(self) -> None:
        """Read the account as a new owner does: fills, what rests, then each other order."""
        for message in self.venue.every:
            if isinstance(message, Fill):
                self.notify(message)
        standing = [key for key, one in self.venue.orders.items() if one.open]
        for order_id in standing:
            self.find_again(self.venue.report(order_id))
            self.look(order_id)
        for order_id in [one for one in self.bot.orders if one not in standing]:
            self.look(order_id)

    def hear(self, message: OrderReport | Fill) -> None:
        self.notify(message)
        if message in self.venue.reported and self.rng.random() < 0.6:
            self.venue.reported.remove(message)

    def notify(self, message: OrderReport | Fill) -> None:
        self.find_again(message)
        if isinstance(message, Fill):
            self.act(self.bot.filled(message, self.now))
        else:
            self.act(self.bot.reported(message, self.now))

    def find_again(self, message: OrderReport | Fill) -> None:
        """Give the bot back an order that it has let go of, or that nobody has written."""
        order_id = message.order_id
        if order_id in self.bot.orders:
            return
        if order_id in self.rows:
            slot, order = self.rows[order_id]
            if order.settled and account._is_news(order, message):
                self.bot.restore(slot, order)
            return
        self.journal[order_id] = f"found:{order_id}"
        about = [one for one in self.venue.every if one.order_id == order_id]
        filled = sum(one.size for one in about if isinstance(one, Fill))
        size = max(filled, self.venue.orders[order_id].size)
        self.bot.adopt(found_order(order_id, ONE, message.side, message.price, size))

    def finish(self) -> None:
        """Let the bot stop while everything is told and read."""
        self.former = None
        self.act(self.bot.end(BotState.STOPPING, self.now))
        for _ in range(60):
            self.now += 3_000
            while self.venue.flying:
                self.venue.arrive(self.now - 3_000)
            self.venue.expire(self.now)
            for message in [*self.venue.reported, *self.venue.every]:
                self.hear(message)
            for order_id in list(self.venue.orders):
                self.look(order_id)
            self.act(self.bot.tick(self.now))
            if self.bot.quiet:
                return


def wrongs(run: Run, turns: int = 600) -> list[str]:
    """Let a run go on to its end; return what is wrong with it."""
    worst = 0
    for _ in range(turns):
        run.turn()
        worst = max(worst, run.venue.worst())
    run.finish()
    held = run.bot.holdings.get(ONE.id, Holding()).size
    found = list(run.venue.wrong)
    found += [f"{worst} could have been held"] if worst > MAX + run.venue.undone else []
    found += [f"{key} is {one.state}" for key, one in run.bot.orders.items() if not one.settled]
    found += [f"{run.venue.position} is held, {held} booked"] if held != run.venue.position else []
    found += [one.detail for one in run.bot.breaches]
    return found
