"""Two legs against every course that their orders can take.

The model asks the strategy that runs. It walks all states of a small world: a tranche of two sets,
orders that are filled in part, lost, refused, or unknown until long after their deadline, fills
that are undone, and a market that runs away. An order that is on its way may have any fill, so
nothing is told apart that the engine could not tell apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.bots.core.holding import Holding, traded
from services.bots.core.strategy import (
    EndEvent,
    Quote,
    StrategyEvent,
    TimerEvent,
    View,
    WorkingOrder,
)
from services.bots.strategies.arbitrage import Arbitrage
from services.bots.strategies.pair import SECOND, TrancheState
from tests.unit.bots.samples import book, outcome
from tradingtools.domain.strategies import ArbitrageConfig
from tradingtools.venues.ports import Side

LOT = 10_000
YES, NO = (replace(outcome(one), minimum_size=LOT) for one in ("yes", "no"))
TRANCHE = 2 * LOT
DEADLINE = 3_000
CONFIG = ArbitrageConfig(
    instrument_id=YES.id,
    complement_id=NO.id,
    order_size=TRANCHE,
    max_sets=TRANCHE,
    min_edge=10_000,
    taker_fee=0,
    max_loss=1_000,
    max_slippage=0,
    hedge_deadline_ms=DEADLINE,
)
"""Sets at 0.45 + 0.50; a leg of two cents' lots, bought and sold at once, loses at most 1000."""
BIDS = {YES.id: 420_000, NO.id: 460_000}
ASKS = {YES.id: 450_000, NO.id: 500_000}
AWAY = 800_000
NOTHING = Holding()


@dataclass(frozen=True)
class Flying:
    """An IOC on its way, or one whose fate is not known."""

    slot: str
    instrument_id: str
    side: Side
    price: int
    size: int


@dataclass(frozen=True)
class World:
    """What the engine has booked, what is on its way, and what has been seen."""

    state: TrancheState
    yes: Holding = NOTHING
    no: Holding = NOTHING
    flying: tuple[Flying, ...] = ()
    now: int = 1_000
    cash: int = 0
    orders: int = 0
    tranches: int = 0
    undone: int = 0
    away: bool = False
    ended: tuple[str, int] | None = None
    """The slot that ended last, with its fill: the strategy hears of it next."""
    wrong: str = ""

    def held(self, instrument_id: str) -> Holding:
        return self.yes if instrument_id == YES.id else self.no


@dataclass(frozen=True)
class Options:
    """The powers of the world."""

    runs_away: bool = False
    undoes: int = 0
    hedges_fail: bool = False
    """Orders of the second leg never fill."""
    bound: int = CONFIG.max_loss
    orders: int = 4


def view(world: World) -> View:
    asks = dict(ASKS) | ({NO.id: AWAY} if world.away else {})
    return View(
        now_ms=world.now,
        instruments={YES.id: YES, NO.id: NO},
        books={
            one.id: book(one, [(BIDS[one.id], 10**9)], [(asks[one.id], 10**9)]) for one in (YES, NO)
        },
        holdings={YES.id: world.yes, NO.id: world.no},
        standing={
            one.slot: WorkingOrder(
                slot=one.slot, order_id=one.slot, instrument_id=one.instrument_id, side=one.side,
                price=one.price, size=one.size, filled=0, certain=False,
            )
            for one in world.flying
        },
    )  # fmt: skip


def decided(world: World, config: ArbitrageConfig) -> World:
    """Let the strategy hear what is new, and send what it wants, one order in a slot."""
    event: StrategyEvent = TimerEvent()
    if world.ended is not None:
        event = EndEvent(world.ended[0], "", world.ended[1], "")
    state, intents = Arbitrage().on(config, world.state, event, view(world))
    sent = [
        Flying(one.slot, one.instrument_id, one.side, one.price, one.size)
        for one in intents
        if isinstance(one, Quote) and all(it.slot != one.slot for it in world.flying)
    ]
    opened = len(sent) == 2 and all(one.side == "BUY" for one in sent)
    after = replace(
        world,
        state=state,
        ended=None,
        flying=tuple(sorted((*world.flying, *sent), key=lambda one: one.slot)),
        orders=world.orders + len(sent),
        tranches=world.tranches + opened,
    )
    return replace(after, wrong=_twice(world, sent) or _broken(after))


def _twice(world: World, sent: list[Flying]) -> str:
    """Say whether more is on its way than the booked difference asks for."""
    gap = world.yes.size - world.no.size
    if not sent or not gap:
        return ""
    ahead = YES.id if gap > 0 else NO.id
    offsets = sum(
        one.size
        for one in (*world.flying, *sent)
        if (one.side == "SELL") == (one.instrument_id == ahead)
    )
    return f"hedged twice: {offsets} for {abs(gap)}" if offsets > abs(gap) else ""


def _broken(world: World) -> str:
    """Say whether a fate of what is on its way leaves more than a tranche alone."""
    allowed = TRANCHE + world.undone * TRANCHE
    gaps = {world.yes.size - world.no.size}
    for one in world.flying:
        sign = 1 if (one.side == "BUY") == (one.instrument_id == YES.id) else -1
        gaps |= {gap + sign * one.size for gap in gaps}
    worst = max(map(abs, gaps))
    return f"{worst} alone" if worst > allowed else ""


def booked(world: World, one: Flying, size: int) -> World:
    """End an order with a fill, which may be nothing."""
    name = "yes" if one.instrument_id == YES.id else "no"
    instrument = YES if name == "yes" else NO
    held = world.held(one.instrument_id)
    cash = world.cash
    if size:
        held = traded(held, instrument, side=one.side, price=one.price, size=size, fee=0)
        worth = instrument.notional(one.price, size, up=one.side == "BUY")
        cash += -worth if one.side == "BUY" else worth
    return replace(
        world,
        **{name: held},  # type: ignore[arg-type]
        cash=cash,
        flying=tuple(it for it in world.flying if it is not one),
        ended=(one.slot, size),
    )


def _undone(world: World, name: str) -> World:
    held: Holding = getattr(world, name)
    instrument = YES if name == "yes" else NO
    cost = held.cost * LOT // held.size
    price = cost * 10**instrument.price_digits // LOT
    less = traded(held, instrument, side="SELL", price=price, size=LOT, fee=0)
    return replace(
        world,
        **{name: less},  # type: ignore[arg-type]
        cash=world.cash + cost,
        undone=world.undone + 1,
    )


def courses(world: World, options: Options, config: ArbitrageConfig) -> Iterator[tuple[str, World]]:
    """Return every next state."""
    if world.orders < options.orders:
        yield "the strategy decides", decided(world, config)
    for one in world.flying:
        dead = options.hedges_fail and one.slot == SECOND and one.side == "BUY"
        for size in range(0, 1 if dead else one.size + 1, LOT):
            yield f"{one.slot} ends with {size // LOT}", booked(world, one, size)
    lone = world.state.legs.lone_since_ms
    if not lone or world.now < lone + DEADLINE:
        yield "a second passes", replace(world, now=world.now + 1_000)
    if options.runs_away and not world.away:
        yield "the ask runs away", replace(world, away=True)
    if world.undone < options.undoes:
        for name in ("yes", "no"):
            if getattr(world, name).size:
                yield f"a fill of {name} is undone", _undone(world, name)


def settled(world: World, options: Options, config: ArbitrageConfig) -> str:
    """Say what is wrong once everything on its way has ended, and time has passed."""
    for _ in range(12):
        if world.yes.size == world.no.size and not world.flying:
            break
        world = decided(replace(world, now=world.now + 1_000), config)
        if world.wrong:
            return world.wrong
        for one in world.flying:
            dead = options.hedges_fail and one.slot == SECOND and one.side == "BUY"
            world = booked(world, one, 0 if dead else one.size)
    if world.yes.size != world.no.size:
        return f"ends with {world.yes.size} and {world.no.size}"
    worth = YES.notional(10**YES.price_digits, world.yes.size, up=False)
    loss = -(world.cash + worth)
    if not options.undoes and loss > options.bound * world.tranches:
        return f"loses {loss} of {options.bound * world.tranches}"
    return ""


def explore(options: Options, config: ArbitrageConfig = CONFIG) -> tuple[int, str, tuple[str, ...]]:
    """Walk all courses; return how many states, what is wrong and the way to it."""
    start = World(state=Arbitrage().begin(config))
    queue: deque[tuple[World, tuple[str, ...]]] = deque([(start, ())])
    seen = {_key(start)}
    while queue:
        world, story = queue.popleft()
        wrong = world.wrong or settled(world, options, config)
        if wrong:
            return len(seen), wrong, story
        for what, after in courses(world, options, config):
            found = _key(after)
            if found not in seen:
                seen.add(found)
                queue.append((after, (*story, what)))
    return len(seen), "", ()


def _key(world: World) -> object:
    lone = world.state.legs.lone_since_ms
    return (
        world.yes.size, world.no.size, world.cash, world.flying, world.orders, world.tranches,
        world.undone, world.away, world.ended, world.state.closing, world.wrong,
        min(world.now - lone, DEADLINE) if lone else -1,
        max(world.state.legs.next_ms - world.now, 0),
    )  # fmt: skip
