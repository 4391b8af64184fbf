"""A bot's order against every course that its venue, the network and a crash can take.

The model asks the code that runs. It walks all states of a small world: one order of two units, one
change to three, messages that come in any order, twice or never, answers that lag, a death. What
has to hold in each of them is said in `_broken`, and at the end of each in `_settles`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from services.bots.core import orders
from services.bots.core.orders import BotOrder
from tradingtools.domain.bot_order_states import ENDED, BotOrderState, PendingRequest
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    Fill,
    NewOrder,
    OrderReport,
    OrderStatus,
    Receipt,
    TradingCapabilities,
)

DEADLINE, FORGOTTEN = 10_000, 1_000_000
EARLY, LATE, TOO_LATE = 9_000, 20_000, 2_000_000
CAPABILITIES = TradingCapabilities(
    resting=True,
    amend=True,
    post_only=True,
    not_after=True,
    unique_order_id=False,
    order_id_known_before=False,
    found_for_ms=FORGOTTEN,
)
INSTRUMENT = Instrument(
    id="okx:X-USDT-SWAP",
    kind=InstrumentKind.SWAP,
    base="X",
    quote="USDT",
    settle="USDT",
    price_digits=0,
    size_digits=0,
    money_digits=8,
    tick_size=1,
    lot_size=1,
    minimum_size=1,
    contract=Decimal(1),
)
NEW = NewOrder(
    order_id="a", instrument=INSTRUMENT, side="BUY", price=10, size=2, not_after_ms=DEADLINE
)
CHANGE = AmendOrder(
    order_id="a", request_id="r", instrument=INSTRUMENT, size=3, not_after_ms=DEADLINE
)


@dataclass(frozen=True)
class World:
    """The engine's order, the venue's truth, and what is on its way."""

    engine: BotOrder
    sent: int = 0
    place: str = ""
    """flying, taken, refused, expired."""
    cancel: bool = False
    amend: str = ""
    status: OrderStatus | None = None
    size: int = 2
    filled: int = 0
    undone: int = 0
    reported: tuple[Any, ...] = ()
    """Messages that were sent to the engine; each may come at any time, again and again."""
    clock: int = EARLY
    lag: int = 2
    """Times that a look-up may still deny what is there."""
    amendable: bool = False
    undoable: bool = False
    unwritten: bool = False
    """Its owner died before it wrote the change, and the next one has not read it."""
    forgetful: bool = False
    """The venue forgets what has ended, and nothing tells of it any more."""

    @property
    def open(self) -> bool:
        return self.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)

    @property
    def may_arrive(self) -> bool:
        return self.place == "flying" and self.clock <= DEADLINE

    @property
    def could_fill(self) -> int:
        """Size that the venue has filled or may still fill."""
        if self.may_arrive:
            return self.size
        if not self.open:
            return self.filled
        return max(self.size, 3 if self.amend == "flying" and self.clock <= DEADLINE else 0)


def key(world: World) -> Any:
    one = world.engine
    mine = (
        one.state, one.pending, one.price, one.size, one.change is not None, one.venue_order_id,
        tuple(sorted(one.fills.items())), tuple(sorted(one.undone.items())), one.reported_filled,
        one.not_founds, one.unread, one.breach,
    )  # fmt: skip
    return (
        mine, world.sent, world.place, world.cancel, world.amend, world.status, world.size,
        world.filled, world.undone, world.reported, world.clock, world.lag, world.unwritten,
    )  # fmt: skip


def report(world: World, request_id: str = "", code: str = "") -> OrderReport:
    assert world.status is not None
    return OrderReport(
        order_id="a",
        venue_order_id="v",
        instrument_id=INSTRUMENT.id,
        side="BUY",
        status=world.status,
        price=10,
        size=world.size,
        filled_size=world.filled,
        venue_ms=0,
        request_id=request_id,
        code=code,
    )


def fill(trade: int, *, undone: bool = False) -> Fill:
    return Fill(
        trade_id=f"t{trade}",
        order_id="a",
        venue_order_id="v",
        instrument_id=INSTRUMENT.id,
        side="BUY",
        price=10,
        size=1,
        fee=0,
        fee_currency="USDT",
        maker=True,
        venue_ms=0,
        undone=undone,
    )


def venue(world: World) -> Iterator[tuple[str, World]]:
    if world.place == "flying":
        if world.clock <= DEADLINE:
            taken = replace(world, place="taken", status=OrderStatus.OPEN)
            yield "takes it", notify(taken, report(taken))
            yield "refuses it", replace(world, place="refused")
        else:
            yield "drops it, it is too late", replace(world, place="expired")
    if not world.open:
        return
    if world.filled < world.size:
        more = replace(world, filled=world.filled + 1)
        whole = more.filled == more.size
        more = replace(more, status=OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED)
        yield "fills one", notify(more, report(more), fill(more.filled))
    if world.cancel:
        ended = replace(world, status=OrderStatus.CANCELLED)
        yield "cancels it", notify(ended, report(ended))
    if world.amend == "flying" and world.clock <= DEADLINE:
        changed = replace(world, amend="done", size=3)
        yield "changes it", notify(changed, report(changed, "r"))
        refused = replace(world, amend="refused")
        yield "refuses the change", notify(refused, report(refused, "r", "51503"))
    elif world.amend == "flying":
        yield "drops the change", replace(world, amend="expired")


def settlement(world: World) -> Iterator[tuple[str, World]]:
    if world.undoable and world.filled and not world.undone:
        yield "undoes the first fill", notify(replace(world, undone=1), fill(1, undone=True))


def notify(world: World, *messages: Any) -> World:
    new = tuple(one for one in messages if one not in world.reported)
    return replace(world, reported=world.reported + new)


ANSWERS = {
    "taken": (Meaning.ACCEPTED, Meaning.UNKNOWN),
    "refused": (Meaning.REJECTED, Meaning.UNKNOWN),
    "flying": (Meaning.UNKNOWN,),
    "expired": (Meaning.UNKNOWN, Meaning.NOT_ACCEPTED),
}


def engine(world: World) -> Iterator[tuple[str, World]]:
    one = world.engine
    try:
        sent = replace(world, engine=orders.sending(one), sent=world.sent + 1, place="flying")
        yield "places it", sent
    except orders.OrderError:
        pass
    if one.state is BotOrderState.SUBMITTING:
        for meaning in ANSWERS[world.place]:
            answer = orders.answered(one, PendingRequest.PLACE, Receipt(meaning=meaning))
            yield f"hears {meaning.name}", replace(world, engine=answer)
    yield from death(world)
    if world.sent and not world.cancel and one.state not in ENDED:
        yield "cancels", replace(world, engine=orders.cancelling(one), cancel=True)
    if world.amendable and not world.amend and world.clock <= DEADLINE:
        try:
            changing = orders.amending(one, CHANGE)
            yield "amends", replace(world, engine=changing, amend="flying")
        except orders.OrderError:
            pass
    for message in world.reported:
        yield (
            f"is told {getattr(message, 'status', 'a fill')}",
            replace(world, engine=received(one, message)),
        )
    if world.sent:
        yield from poll(world)


def death(world: World) -> Iterator[tuple[str, World]]:
    one = world.engine
    if one.state is BotOrderState.SUBMITTING or one.pending is not PendingRequest.NONE:
        yield "dies, and another takes over", replace(world, engine=orders.orphaned(one))
    if one.change is not None:
        yield "dies before the change is written, the next one waits", succeeded(world)


def succeeded(world: World) -> World:
    """Return the world of the next owner, who reads when nothing is under way any more."""
    row = replace(world.engine, change=None, pending=PendingRequest.NONE)
    return replace(
        world,
        engine=orders.orphaned(row),
        clock=max(world.clock, LATE),
        amend="expired" if world.amend == "flying" else world.amend,
        unwritten=True,
    )


def received(one: BotOrder, message: Fill | OrderReport) -> BotOrder:
    return (
        orders.filled(one, message) if isinstance(message, Fill) else orders.reported(one, message)
    )


def poll(world: World) -> Iterator[tuple[str, World]]:
    one = world.engine
    spaced = one.not_found_ms + orders.NOT_FOUND_SPACING_MS
    requested = EARLY if world.clock == EARLY else max(world.clock, spaced)
    forgotten = world.forgetful and world.clock == TOO_LATE and not world.open
    missing = replace(world, engine=orders.not_found(one, CAPABILITIES, requested_ms=requested))
    if world.status is None or forgotten:
        yield "does not find it", missing
        return
    found = orders.reported(one, report(world), read_ms=world.clock)
    yield "reads it", replace(world, engine=found, unwritten=False)
    if world.lag:
        yield "does not find it, the look-up lags", replace(missing, lag=world.lag - 1)


def steps(world: World) -> Iterator[tuple[str, World]]:
    yield from engine(world)
    yield from venue(world)
    yield from settlement(world)
    if world.clock == EARLY and world.sent:
        yield "the deadline passes", replace(world, clock=LATE)
    elif world.clock == LATE:
        yield "two hours pass", replace(world, clock=TOO_LATE)


def _broken(world: World) -> str:
    one = world.engine
    if world.sent > 1:
        return "two orders for one intent"
    booked_or_gone = one.filled + sum(one.undone.values())
    never_was = one.state in (BotOrderState.LOST, BotOrderState.REJECTED)
    if never_was and (world.may_arrive or world.status is not None):
        return f"{one.state}, and the venue has it or may take it"
    # Who has not read it yet sends nothing.
    if world.sent and not world.unwritten and one.reserved + booked_or_gone < world.could_fill:
        return f"reserved {one.reserved}, booked {booked_or_gone}, could be {world.could_fill}"
    if one.filled > world.filled:
        return "more is booked than was filled"
    if one.breach:
        return f"a false alarm: {one.breach}"
    return ""


def _settles(world: World) -> str:
    """Let the world end: all is told and read, then nothing may be forgotten."""
    if world.place == "flying":
        world = replace(world, place="expired")
    if world.open:
        world = replace(world, status=OrderStatus.CANCELLED)
    one = world.engine
    for message in reversed(world.reported):
        one = received(one, message)
    if not world.sent:
        return ""
    if one.state is BotOrderState.SUBMITTING:
        one = orders.answered(one, PendingRequest.PLACE, Receipt(meaning=Meaning.UNKNOWN))
    for _ in range(orders.NOT_FOUNDS_NEEDED + 1):
        requested = max(LATE, one.not_found_ms + orders.NOT_FOUND_SPACING_MS)
        if world.status is None:
            one = orders.not_found(one, CAPABILITIES, requested_ms=requested)
        else:
            one = orders.reported(one, report(world), read_ms=requested)
    if not one.settled and one.state is not BotOrderState.DEAD:
        return f"never settles: {one.state}, reserved {one.reserved}"
    if one.settled and one.filled != world.filled - world.undone:
        return f"ends with {one.filled} of {world.filled} less {world.undone}"
    return ""


def explore(limit: int = 400_000, **options: Any) -> tuple[int, str, list[str]]:
    """Walk every state; return their number, what is broken first, and the story that led to it."""
    first = World(engine=orders.intend(NEW, bot_id="b", epoch=1), **options)
    came: dict[Any, tuple[Any, str]] = {key(first): (None, "")}
    queue = deque([first])
    while queue:
        world = queue.popleft()
        wrong = _broken(world) or _settles(world)
        if wrong:
            return len(came), wrong, _story(came, key(world))
        for what, after in steps(world):
            if (named := key(after)) not in came:
                came[named] = (key(world), what)
                queue.append(after)
                assert len(came) < limit, "the model grew beyond its bound"
    return len(came), "", []


def _story(came: dict[Any, tuple[Any, str]], at: Any) -> list[str]:
    lines = []
    while at is not None:
        at, what = came[at]
        lines.append(what)
    return lines[::-1][1:]
