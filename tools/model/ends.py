"""The world of one order's end: what confirm makes of what is told under its key, also afterwards.

The venue gateway may break its promises here: an order appears that was given up, fills change
after their end, something is told that cannot be this order. Answers are asked for, held, and taken
later by three readers (the submission's own answer, the question, the watch), each of which may
crash. What an answer means is asked of confirm's own core. Before it: `protocol`, for how an order
gets here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from services.confirm.core import booking
from services.confirm.core import contradiction as judging
from services.confirm.core.booking import Action, FillStatus
from services.confirm.core.contradiction import Booked, Finding, SentOrder
from tools.model.explore import Condition, Step
from tools.model.guards import Guard, Rules
from tradingtools.domain.order_states import LEGAL, FailedKind
from tradingtools.domain.order_states import OrderState as S
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade

_SIZE = 2
_OURS = SentOrder(
    side="BUY", asset_id="1", follower_proxy="w", size_micros=_SIZE, venue_order_id=""
)
_CALLS = 3
"""More often nobody has to look at one order: dead, found after all, and then a breach."""


def _reported(*trades: tuple[str, TradeStatus], size: int = _SIZE) -> VenueOrder:
    return VenueOrder(
        order_key="k", order_id="0x1", status="", closed=True, size_micros=size,
        trades=tuple(
            VenueTrade(trade_id=name, size_micros=1, notional_micros=1, fee_micros=0, status=status)
            for name, status in trades
        ),
    )  # fmt: skip


_T = TradeStatus
ANSWERS: Mapping[str, VenueOrder] = {
    "killed": _reported(),
    "matched": _reported(("t1", _T.MATCHED)),
    "settled": _reported(("t1", _T.CONFIRMED)),
    "undone": _reported(("t1", _T.FAILED)),
    "grown": _reported(("t1", _T.CONFIRMED), ("t2", _T.CONFIRMED)),
    "another's": _reported(("t1", _T.CONFIRMED), size=_SIZE + 1),
}
_HONEST = {"": ("matched", "killed"), "matched": ("settled", "undone")}
_BREACHES = {
    "killed": ("settled",), "settled": ("grown", "another's"), "undone": ("settled",),
    "matched": ("another's",),
}  # fmt: skip
_NEVER_SENT_ON = (S.SUBMITTING, S.UNKNOWN, S.DEAD)
"""A request may still be on its way: that it is accepted is no breach."""
_REQUESTED = (S.UNKNOWN, S.SUBMITTED)
_WATCHED = (S.DEAD, S.LOST, S.FAILED, S.CONFIRMED, S.RESURRECTED)
_FOR_A_PERSON = (S.DEAD, S.RESURRECTED)


class Held(NamedTuple):
    """The answers that the three readers hold; empty: none."""

    event: str = ""
    question: str = ""
    watch: str = ""


class State(NamedTuple):
    """Everything at one instant."""

    state: S = S.SUBMITTING
    failed: FailedKind | None = None
    far: str = ""
    """What the venue gateway tells under the key; empty: it knows none."""
    fills: tuple[tuple[str, FillStatus], ...] = ()
    held: Held = Held()
    reserved: bool = True
    breached: bool = False
    """The venue gateway broke a promise."""
    reduced: bool = False
    calls: int = 0
    """How often a person was called."""
    broken: str = ""


class Ends:
    """Everything that can happen at the end of one order.

    Args:
        rules: the guard that is missing.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def initial(self) -> Condition:
        """It was sent, and nothing is known yet."""
        return State()

    def settled(self, state: Condition) -> bool:
        """A person has it, or it has ended and what is booked is what the venue gateway tells."""
        assert isinstance(state, State)  # noqa: S101 - a world is only given its own states
        if state.state is S.RESURRECTED:
            return True
        agrees = not state.far or not _news(state)
        if state.state is S.DEAD:
            return not state.far or _finding(state, state.far) is Finding.CONTRADICTION
        there = state.far in ("", "killed") or bool(state.fills)
        return state.state in (S.CONFIRMED, S.FAILED, S.LOST) and agrees and there

    def sight(self, state: Condition) -> str:
        """Where the row stands, and what is told."""
        assert isinstance(state, State)  # noqa: S101 - a world is only given its own states
        return f"{state.state}, {state.far or 'nothing'}"

    def steps(self, state: Condition) -> Iterator[Step]:
        """Every step of everybody, judged."""
        assert isinstance(state, State)  # noqa: S101 - a world is only given its own states
        for label, after, helps in self._all(state):
            yield Step(label, _judge(after), helps)

    def _all(self, state: State) -> Iterator[tuple[str, State, bool]]:
        yield from _gateway(state)
        if state.state is S.SUBMITTING:
            yield from _executor(state)
            return
        if state.state is S.UNKNOWN:
            yield "confirm: cannot find out", _moved(state, S.DEAD), not state.far
            if not state.far:
                yield "confirm: has the proof that nothing comes", _moved(state, S.LOST), True
        if state.state in _REQUESTED and state.far and not state.held.question:
            yield "confirm: asks", _hold(state, question=state.far), True
        if self._watches(state) and state.far and not state.held.watch:
            yield "watch: asks", _hold(state, watch=state.far), True
        for reader, answer in zip(Held._fields, state.held, strict=True):
            if answer:
                without = _hold(state, **{reader: ""})
                taken = self._take(without, answer)
                yield f"{reader}: takes the answer '{answer}'", taken, True
                yield f"{reader}: crashes with its answer", without, False
        if state.state is S.RESURRECTED and not state.reduced:
            yield "confirm: sets the wallet to REDUCING", state._replace(reduced=True), True

    def _watches(self, state: State) -> bool:
        guard = Guard.DEAD_ASKED_AGAIN if state.state is S.DEAD else Guard.ENDS_WATCHED
        return state.state in _WATCHED and self._rules.have(guard)

    def _take(self, state: State, name: str) -> State:
        """One transaction, as `services.confirm.store.take`."""
        found = _finding(state, name)
        false = found is Finding.CONTRADICTION
        if false and not self._rules.have(Guard.CONTRADICTION_NOT_BOOKED):
            found = Finding.NEWS
        target = judging.follows(state.state, state.failed, found)
        rounds = state.state is S.DEAD and found is Finding.CONTRADICTION
        if rounds and not self._rules.have(Guard.DEAD_STAYS):
            target = S.SUBMITTED
        if target is not None:
            state = self._follow(state, target)
        if state.state in (S.SUBMITTED, S.RESURRECTED) and found is not Finding.CONTRADICTION:
            state = self._book(state, ANSWERS[name])
            if false:
                state = state._replace(broken=f"BOOKED: '{name}', which cannot be this order")
        return state

    def _follow(self, state: State, target: S) -> State:
        state = _moved(state, target)
        if target is S.RESURRECTED:
            together = self._rules.have(Guard.REDUCED_TOGETHER)
            again = self._rules.have(Guard.RESERVED_AGAIN)
            state = state._replace(
                reduced=state.reduced or together, reserved=state.reserved or again
            )
        return state

    def _book(self, state: State, reported: VenueOrder) -> State:
        known = dict(state.fills)
        todo = booking.steps(known, reported)
        if not self._rules.have(Guard.FAILED_TRADE_NOTED):
            todo = [step for step in todo if step.action is not Action.NOTE]
        known = booking.after(known, todo)
        state = state._replace(fills=tuple(sorted(known.items())))
        ending = booking.end(known, reported)
        if ending is None:
            return state
        if state.state is S.RESURRECTED:
            return state._replace(reserved=False)
        return _moved(state, ending.state, ending.failed_kind)


def _gateway(state: State) -> Iterator[tuple[str, State, bool]]:
    open_ = state.state in _NEVER_SENT_ON
    for to in _HONEST.get(state.far, ()):
        if state.far or open_:
            yield f"venue gateway: {to}", state._replace(far=to), bool(state.far)
        elif state.state is S.LOST or state.failed is FailedKind.REJECTED:
            breach = state._replace(far=to, breached=True)
            yield f"venue gateway: {to}, after all", breach, False
    for to in _BREACHES.get(state.far, ()):
        yield f"venue gateway: {to}, against its word", state._replace(far=to, breached=True), False


def _executor(state: State) -> Iterator[tuple[str, State, bool]]:
    yield "executor: has no answer", _moved(state, S.UNKNOWN), True
    if state.far:
        accepted = _hold(_moved(state, S.SUBMITTED), event=state.far)
        yield "executor: has an acceptance", accepted, True
    else:
        refused = _moved(state, S.FAILED, FailedKind.REJECTED)
        yield "executor: is refused", refused, True


def _moved(state: State, to: S, failed: FailedKind | None = None) -> State:
    if (state.state, to) not in LEGAL:
        return state._replace(broken=f"I6: {state.state} -> {to} is not legal")
    if to is S.FAILED and failed is None:
        failed = FailedKind.UNDONE if state.fills else FailedKind.KILLED
    reserved = state.reserved and to not in (S.CONFIRMED, S.FAILED, S.LOST)
    calls = state.calls + (to in _FOR_A_PERSON)
    return state._replace(state=to, failed=failed, reserved=reserved, calls=min(calls, _CALLS + 1))


def _hold(state: State, **answers: str) -> State:
    return state._replace(held=state.held._replace(**answers))


def _booked(state: State) -> dict[str, Booked]:
    return {
        name: Booked(status=status, size_micros=1, notional_micros=1, fee_micros=0)
        for name, status in state.fills
    }


def _finding(state: State, name: str) -> Finding:
    return judging.finding(_OURS, _booked(state), ANSWERS[name])


def _news(state: State) -> bool:
    return judging.follows(state.state, state.failed, _finding(state, state.far)) is not None


def _judge(state: State) -> State:
    """Mark a state that breaks a promise."""
    words = ""
    if state.state is S.RESURRECTED and not state.breached:
        words = "BREACH: RESURRECTED though the venue gateway kept its word"
    elif state.state is S.RESURRECTED and not state.reduced:
        words = "BREACH: RESURRECTED while its wallet still buys"
    elif (
        state.state is S.RESURRECTED
        and FillStatus.MATCHED in dict(state.fills).values()
        and (not state.reserved)
    ):
        words = "MONEY: released while its fills may still change"
    elif state.calls > _CALLS:
        words = "CALLED: a person is called again and again"
    return state if state.broken or not words else state._replace(broken=words)
