"""A bot against a venue that loses, repeats and reorders, with deaths of its engine in between.

The venue is the truth: it knows each order that was taken and each fill. The strategy asks for
random quotes; what must hold does not depend on what it asks for.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from services.bots.core.bot import Bot
from services.bots.core.holding import Holding
from services.bots.core.requests import LookUp, PermitAsked, Request
from services.bots.core.risk import Equity, RiskLimits
from services.bots.core.setup import Setup
from services.bots.core.strategy import BookEvent, Intent, Quote, StrategyEvent, View, Withdraw
from tests.unit.bots.samples import AMENDS, CANCELS, book, swap
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
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
    RestingTime,
    TradingCapabilities,
)

ONE = swap()
MOST = 300
LEASE_MS = 40_000


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
        dice = random.Random(state)  # noqa: S311
        slot = dice.choice(["a", "b", "c"])
        if dice.random() < 0.3:
            return state + 1, (Withdraw(slot=slot),)
        quote = Quote(
            slot=slot,
            instrument_id=ONE.id,
            side=dice.choice(["BUY", "SELL"]),
            price=640_000 + dice.randrange(-50, 50),
            size=dice.randrange(1, 200),
            post_only=dice.random() < 0.5,
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


@dataclass
class Venue:
    """The truth: what was taken, what was filled, and the messages about it."""

    dice: random.Random
    amends: bool
    orders: dict[str, Resting] = field(default_factory=dict)
    flying: list[NewOrder | AmendOrder | CancelOrder] = field(default_factory=list)
    told: list[OrderReport | Fill] = field(default_factory=list)
    every: list[OrderReport | Fill] = field(default_factory=list)
    position: int = 0
    trades: int = 0
    wrong: list[str] = field(default_factory=list)

    def arrive(self, now_ms: int) -> None:
        """Let one request arrive, in any order; one after its deadline is void."""
        self.expire(now_ms)
        one = self.flying.pop(self.dice.randrange(len(self.flying)))
        if now_ms > last_ms(one):
            return
        if isinstance(one, NewOrder):
            if one.order_id in self.orders:
                self.wrong.append(f"{one.order_id} was placed twice")
            if now_ms > LEASE_OF[0] and one.expires_ms is None:
                self.wrong.append(f"{one.order_id} was taken after the lease")
            self.orders[one.order_id] = Resting(one, one.price, one.size)
            self.tell(one.order_id)
            return
        known = self.orders.get(one.order_id)
        if known is None or not known.open:
            return
        if isinstance(one, CancelOrder):
            known.status = OrderStatus.CANCELLED
        else:
            known.price = known.price if one.price is None else one.price
            known.size = known.size if one.size is None else max(one.size, known.filled)
            known.request_id = one.request_id
            if known.size == known.filled:
                known.status = OrderStatus.FILLED
        self.tell(one.order_id)

    def expire(self, now_ms: int) -> None:
        """End what has come to its end."""
        for order_id, one in self.orders.items():
            if one.open and one.new.expires_ms is not None and now_ms > one.new.expires_ms:
                one.status = OrderStatus.EXPIRED
                self.tell(order_id)

    def trade(self) -> None:
        """Fill a part of an open order."""
        standing = [one for one in self.orders.values() if one.open]
        if not standing:
            return
        one = self.dice.choice(standing)
        size = self.dice.randint(1, one.size - one.filled)
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
        self.told.append(fill)
        self.every.append(fill)
        self.tell(one.new.order_id)

    def tell(self, order_id: str) -> None:
        self.told.append(self.report(order_id))

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


LEASE_OF = [0]
ENDS = replace(CANCELS, rests_for_ms=2_500, horizon_ms=500)
"""A venue that knows no deadline of a request: each order has an end of its own."""


def last_ms(one: NewOrder | AmendOrder | CancelOrder) -> int:
    """Return when a request is void: at its deadline, or when the order has ended."""
    expires = one.expires_ms if isinstance(one, NewOrder) else None
    return one.not_after_ms if expires is None else expires


class Run:
    """One bot and its venue, for some hundred turns."""

    def __init__(self, seed: int, capabilities: TradingCapabilities) -> None:
        self.dice = random.Random(seed)  # noqa: S311
        self.capabilities = capabilities
        self.venue = Venue(self.dice, capabilities.amend)
        self.now = 1_000_000
        self.epoch = 0
        self.journal: dict[str, str] = {}
        """Slots of all orders that left."""
        self.bot = self.begin(seed, None)

    def begin(self, state: int, former: Bot[int, int] | None) -> Bot[int, int]:
        self.epoch += 1
        LEASE_OF[0] = self.now + LEASE_MS
        setup = Setup(
            bot_id="bot1",
            epoch=self.epoch,
            config=state,
            instruments={ONE.id: ONE},
            capabilities={"okx": self.capabilities},
            limits=RiskLimits(max_position=MOST, mark_age_ms=10**9),
        )
        bot = Bot(
            setup,
            Whim(),
            former.state if former else state,
            orders_=[(former.slot_of(k), v) for k, v in former.orders.items()] if former else [],
            holdings=former.holdings if former else {},
            number=1,
            lease_until_ms=LEASE_OF[0],
        )
        bot.run(self.now)
        return bot

    def act(self, requests: list[Request]) -> None:
        for one in requests:
            if isinstance(one, PermitAsked):
                self.act(self.bot.granted(one.permit, self.now))
            elif isinstance(one, LookUp):
                self.look(one.order.order_id)
            else:
                if isinstance(one, NewOrder):
                    self.alone(one)
                self.venue.flying.append(one)
                if self.dice.random() < 0.2:
                    self.venue.flying.append(one) if isinstance(one, CancelOrder) else None
                self.answer(one)

    def alone(self, new: NewOrder) -> None:
        """Note a second order for a slot whose first one may still fill."""
        slot = self.journal[new.order_id] = self.bot.slot_of(new.order_id)
        places = (one for one in self.venue.flying if isinstance(one, NewOrder))
        arriving = {one.order_id for one in places if last_ms(one) >= self.now}
        resting = {order_id for order_id, one in self.venue.orders.items() if one.open}
        for order_id in arriving | resting:
            if self.journal[order_id] == slot:
                self.venue.wrong.append(f"{new.order_id} stands beside {order_id}")

    def answer(self, one: NewOrder | AmendOrder | CancelOrder) -> None:
        if isinstance(one, NewOrder) and self.dice.random() < 0.7:
            return
        kinds = {NewOrder: PendingRequest.PLACE, AmendOrder: PendingRequest.AMEND}
        kind = kinds.get(type(one), PendingRequest.CANCEL)
        unknown = Receipt(meaning=Meaning.UNKNOWN, code="TIMEOUT")
        self.act(self.bot.answered(one.order_id, kind, unknown, self.now))

    def look(self, order_id: str) -> None:
        if order_id in self.venue.orders:
            report = self.venue.report(order_id)
            self.act(self.bot.reported(report, self.now, read_ms=self.now))
        else:
            self.act(self.bot.not_found(order_id, asked_ms=self.now, now_ms=self.now))

    def turn(self) -> None:
        self.bot.written()
        self.venue.expire(self.now)
        self.now += self.dice.choice([1, 5, 20, 300])
        choice = self.dice.random()
        if choice < 0.35:
            quoted = book(ONE, [(640_000, 9)], [(640_001, 9)])
            self.act(self.bot.market(quoted, self.now))
        elif choice < 0.6 and self.venue.flying:
            self.venue.arrive(self.now)
        elif choice < 0.75:
            self.venue.trade()
        elif choice < 0.95 and self.venue.told:
            self.hear(self.venue.told[self.dice.randrange(len(self.venue.told))])
        elif choice > 0.995 or self.now > LEASE_OF[0] - 5_000:
            self.die()
        else:
            self.act(self.bot.tick(self.now))

    def die(self) -> None:
        self.bot = self.begin(0, self.bot)

    def hear(self, message: OrderReport | Fill) -> None:
        if isinstance(message, Fill):
            self.act(self.bot.filled(message, self.now))
        else:
            self.act(self.bot.reported(message, self.now))
        if message in self.venue.told and self.dice.random() < 0.6:
            self.venue.told.remove(message)

    def finish(self) -> None:
        """Let the bot stop while everything is told and read."""
        self.act(self.bot.end(BotState.STOPPING, self.now))
        for _ in range(60):
            self.now += 3_000
            while self.venue.flying:
                self.venue.arrive(self.now - 3_000)
            self.venue.expire(self.now)
            for message in [*self.venue.told, *self.venue.every]:
                self.hear(message)
            for order_id in list(self.venue.orders):
                self.look(order_id)
            self.act(self.bot.tick(self.now))
            if self.bot.quiet:
                return


@pytest.mark.parametrize(
    "capabilities",
    [AMENDS, replace(CANCELS, not_after=True), ENDS],
    ids=["amends", "cancels", "ends"],
)
@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_nothing_doubles_and_no_limit_is_passed(
    seed: int, capabilities: TradingCapabilities
) -> None:
    run = Run(seed, capabilities)
    worst = 0

    for _ in range(600):
        run.turn()
        worst = max(worst, run.venue.worst())
    run.finish()

    assert run.venue.wrong == []
    assert worst <= MOST
    assert [one.state for one in run.bot.orders.values() if not one.settled] == []
    assert run.bot.holdings[ONE.id].size == run.venue.position
    assert run.bot.breaches == []
    assert run.venue.trades > 5


class Fails(Whim):
    """Quotes once, then fails."""

    def on(
        self, config: int, state: int, event: StrategyEvent, view: View
    ) -> tuple[int, tuple[Intent, ...]]:
        if state > config:
            raise ZeroDivisionError
        quote = Quote(slot="a", instrument_id=ONE.id, side="BUY", price=639_000, size=10)
        return state + 1, (quote,)


def test_a_strategy_that_fails_ends_its_bot_and_its_orders() -> None:
    run = Run(1, AMENDS)
    run.bot = Bot(run.bot.setup, Fails(), 1, lease_until_ms=run.now + LEASE_MS)
    run.act(run.bot.run(run.now))
    fresh = book(ONE, [(640_000, 9)], [(640_001, 9)])
    run.act(run.bot.market(fresh, run.now))

    assert run.bot.life is BotState.ERROR
    assert isinstance(run.bot.failure, ZeroDivisionError)
    run.finish()
    assert run.bot.quiet


def test_a_permit_that_is_denied_is_asked_for_again() -> None:
    run = Run(1, AMENDS)
    run.bot = Bot(run.bot.setup, Fails(), 9, lease_until_ms=run.now + LEASE_MS)
    run.bot.setup = replace(run.bot.setup, config=10)
    run.bot.run(run.now)
    fresh = book(ONE, [(640_000, 9)], [(640_001, 9)])
    asked = [one for one in run.bot.market(fresh, run.now) if isinstance(one, PermitAsked)]

    assert len(asked) == 1
    assert run.bot.tick(run.now) == []
    run.bot.denied(asked[0].permit)
    assert run.bot.tick(run.now) == asked


class Wants(Whim):
    """Wants what it was made with."""

    def __init__(self, *intents: Intent) -> None:
        self.intents = intents

    def on(
        self, config: int, state: int, event: StrategyEvent, view: View
    ) -> tuple[int, tuple[Intent, ...]]:
        return state, self.intents


def begun(run: Run, *intents: Intent, limits: RiskLimits, **more: Any) -> Bot[int, int]:
    setup = replace(run.bot.setup, limits=limits)
    run.bot = Bot(setup, Wants(*intents), 1, lease_until_ms=run.now + LEASE_MS, **more)
    run.act(run.bot.run(run.now))
    return run.bot


def quoted(size: int, price: int = 640_000) -> Quote:
    return Quote(slot="a", instrument_id=ONE.id, side="BUY", price=price, size=size)


FRESH = book(ONE, [(640_000, 9)], [(640_001, 9)])


@pytest.mark.parametrize("better", [quoted(20), quoted(10, 900_000)], ids=["size", "price"])
def test_a_change_is_judged_as_the_whole_order(better: Quote) -> None:
    most = ONE.notional(650_000, 10, up=True)
    run = Run(1, AMENDS)
    bot = begun(run, quoted(10), limits=RiskLimits(max_order_notional=most))
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    run.act(bot.reported(run.venue.report("bot1e1n1"), run.now))
    assert [one.size for one in bot.orders.values()] == [10]

    bot.strategy = Wants(better)
    asked = bot.market(FRESH, run.now)

    assert [type(one) for one in asked] == [CancelOrder]
    assert "max_order_notional" in bot.refusals["a"]


def test_a_loss_of_a_former_life_is_not_forgotten() -> None:
    run = Run(1, AMENDS)
    day = run.now // 86_400_000
    before = Equity(result=-90, day_start=0, peak=0, day=day)
    held = {ONE.id: Holding(realised=-110)}
    limits = RiskLimits(max_daily_loss=100)

    bot = begun(run, limits=limits, equity=before, holdings=held)
    bot.market(FRESH, run.now)

    assert bot.life is BotState.RISK_STOPPED
    assert begun(run, limits=limits, holdings=held).life is BotState.RUNNING


def test_what_reconciling_stopped_does_not_run() -> None:
    run = Run(1, AMENDS)
    bot = begun(run, limits=RiskLimits())
    bot.end(BotState.RISK_STOPPED, run.now)

    bot.run(run.now)

    assert bot.life is BotState.RISK_STOPPED


def test_at_a_venue_without_deadlines_an_order_has_an_end_and_is_dated() -> None:
    run = Run(1, ENDS)
    bot = begun(run, quoted(10), limits=RiskLimits())
    run.act(bot.market(FRESH, run.now))
    (sent,) = (one.order for one in bot.orders.values())

    assert (sent.time_in_force, sent.created_ms) == (RestingTime.GTD, run.now)
    assert sent.expires_ms == run.now + 2_500
    # It is as it was wanted: nothing is to be changed about it.
    run.venue.arrive(run.now)
    run.act(bot.reported(run.venue.report(sent.order_id), run.now))
    assert bot.tick(run.now) == []


def test_what_was_lost_there_stays_reserved_until_its_end_and_a_horizon() -> None:
    run = Run(1, ENDS)
    bot = begun(run, quoted(10), limits=RiskLimits())
    run.act(bot.market(FRESH, run.now))
    (sent,) = (one.order for one in bot.orders.values())
    bot.end(BotState.STOPPING, run.now)
    assert sent.expires_ms is not None
    unknown = Receipt(meaning=Meaning.UNKNOWN)
    bot.answered(sent.order_id, PendingRequest.PLACE, unknown, run.now)
    end = sent.expires_ms + 500 + bot.setup.clock_error_ms

    for asked in (end - 2_000, end, end + 1, end + 2_001):
        bot.not_found(sent.order_id, asked_ms=asked, now_ms=asked)
        assert not bot.quiet
    asked = end + 4_001
    bot.not_found(sent.order_id, asked_ms=asked, now_ms=asked)

    assert bot.quiet
    assert [one.state for one in bot.orders.values()] == [BotOrderState.LOST]


def test_a_fill_that_fails_after_its_order_is_settled_is_booked_back() -> None:
    run = Run(1, ENDS)
    bot = begun(run, quoted(10), limits=RiskLimits())
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    while run.venue.orders["bot1e1n1"].open:
        run.venue.trade()
    fills = [one for one in run.venue.every if isinstance(one, Fill)]
    bot.end(BotState.STOPPING, run.now)
    for fill in fills:
        bot.filled(fill, run.now)
    bot.reported(run.venue.report("bot1e1n1"), run.now)
    ((slot, settled),) = bot.written().orders
    assert (bot.orders, bot.holdings[ONE.id].size) == ({}, 10)

    bot.recall(slot, settled)
    for fill in fills:
        bot.filled(replace(fill, undone=True), run.now)

    assert bot.holdings[ONE.id].size == 0
    assert [one.undone for one in bot.written().fills] == [True] * len(fills)
