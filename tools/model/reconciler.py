"""The steps of confirm: fence, ask by key, void, write what the core decided; and watch the dead.

Between the question, the void and the write anything may happen. The decisions are those of
`services.confirm.core.unknown_order_policy`; a guard is taken away by telling that code a lie.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from services.confirm.core import unknown_order_policy
from services.confirm.core.unknown_order_policy import LookupResult, NextAction, UnknownOrder
from tools.model.explore import Step
from tools.model.guards import LONGEST_PROCESSING_MS, Guard, Rules
from tools.model.state import (
    ATTEMPTS,
    CONFIRMED,
    DEAD,
    FAILED,
    LOST,
    PAST_HORIZON,
    SUBMITTED,
    SUBMITTING,
    UNKNOWN,
    Reconciler,
    Row,
    State,
    compare_and_set,
)
from tradingtools.domain.order_states import FailedKind
from tradingtools.venues.ports import Capabilities

_NOT_AFTER_MS = 1_000
_HORIZON_MS = _NOT_AFTER_MS + LONGEST_PROCESSING_MS
_CLOCK_MS = (0, _NOT_AFTER_MS + 1, _HORIZON_MS + 1)
_LONG_AFTER_MS = _HORIZON_MS + 1 + unknown_order_policy.UNREACHABLE_MS
_STALE_ANSWERS = unknown_order_policy.NOT_FOUNDS_NEEDED - 1
_UNBOUNDED = 99
_TARGETS = {NextAction.BOOK: SUBMITTED, NextAction.GIVE_UP: LOST, NextAction.CALL: DEAD}


def steps(state: State, rules: Rules) -> Iterator[Step]:
    """Everything confirm can do now, crash included."""
    at = state.confirm.at
    row = state.row
    if at != "idle":
        forgets = replace(state, confirm=Reconciler())
        yield Step("confirm: crashes and restarts", forgets, helps=False)
    if at == "void":
        yield from _void(state, rules)
    elif at == "write":
        yield _write(state, rules)
    elif row is not None:
        yield from _look_around(state, rules, row)


def _look_around(state: State, rules: Rules, row: Row) -> Iterator[Step]:
    if row.state == SUBMITTING and rules.have(Guard.FENCE):
        fenced = compare_and_set(state, rules, SUBMITTING, row.epoch, UNKNOWN, epoch=row.epoch + 1)
        yield Step("confirm: fences SUBMITTING, its lease has run out", fenced)
    elif row.state == UNKNOWN:
        yield from _ask(state, rules, row)
    elif row.state == SUBMITTED and state.orders:
        done = compare_and_set(state, rules, SUBMITTED, row.epoch, CONFIRMED)
        yield Step("confirm: books its fills", done)
        empty = compare_and_set(
            replace(state, killed=True), rules, SUBMITTED, row.epoch, FAILED,
            failed=FailedKind.KILLED.value,
        )  # fmt: skip
        yield Step("confirm: finds it closed without a fill", empty, helps=False)
    elif row.state == DEAD and state.orders and rules.capabilities.get_by_key:
        found = compare_and_set(state, rules, DEAD, row.epoch, SUBMITTED)
        yield Step("confirm: finds a dead order after all", found, helps=False)


def _answers_by_key(state: State, rules: Rules) -> Iterator[tuple[LookupResult, State, bool]]:
    """Yield what a question by key may give, the state after it, and whether one can count on
    it."""
    yield LookupResult.NO_ANSWER, state, state.now == PAST_HORIZON
    if not rules.capabilities.get_by_key:
        yield LookupResult.NOT_SUPPORTED, state, True
    elif state.orders:
        yield LookupResult.FOUND, state, True
        counts = state.now == PAST_HORIZON or not rules.have(Guard.HORIZON)
        if counts and state.stale < _STALE_ANSWERS:
            yield LookupResult.NOT_FOUND, replace(state, stale=state.stale + 1), False
    else:
        yield (LookupResult.VOIDED if state.voided else LookupResult.NOT_FOUND), state, True


def _instants(state: State, rules: Rules) -> tuple[int, ...]:
    """Return what the clock may show: past the horizon it may also be long past it."""
    if state.now == PAST_HORIZON:
        return _CLOCK_MS[PAST_HORIZON], _LONG_AFTER_MS
    return (_CLOCK_MS[state.now if rules.have(Guard.HORIZON) else PAST_HORIZON],)


def _ask(state: State, rules: Rules, row: Row) -> Iterator[Step]:
    promises = _believed(rules)
    case = _case(rules, row)
    for answer, after, helps in _answers_by_key(state, rules):
        poll = answer
        if poll is LookupResult.NO_ANSWER and not rules.have(Guard.TRANSPORT_IS_NO_VERDICT):
            poll = LookupResult.NOT_FOUND
        for now_ms in _instants(state, rules):
            act = unknown_order_policy.after_lookup(case, poll, promises, now_ms)
            label = f"confirm: asks by key: {answer.name}, so {act.name}"
            yield Step(label, _planned(after, row, promises, (poll, act, now_ms)), helps)


def _planned(
    state: State, row: Row, promises: Capabilities, decided: tuple[LookupResult, NextAction, int]
) -> State:
    poll, act, now_ms = decided
    if act is not NextAction.WAIT:
        at, name = ("void", "") if act is NextAction.VOID else ("write", act.name)
        return replace(state, confirm=Reconciler(at, name, row.epoch))
    # As the process counts: only not-founds that were asked for past the horizon.
    counts = poll is LookupResult.NOT_FOUND and now_ms > unknown_order_policy.horizon_ms(
        UnknownOrder(not_after_ms=_NOT_AFTER_MS, not_found_count=0, unknown_since_ms=0), promises
    )
    counted = min(row.not_founds + counts, unknown_order_policy.NOT_FOUNDS_NEEDED)
    return replace(state, row=replace(row, not_founds=counted))


def _believed(rules: Rules) -> Capabilities:
    reported = rules.capabilities
    if not rules.have(Guard.NOT_FOUND_NEEDS_B):
        reported = replace(reported, not_after=True)
    if not rules.have(Guard.NO_RESEND_WITHOUT_A):
        reported = replace(reported, idempotency=True)
    return reported


def _case(rules: Rules, row: Row) -> UnknownOrder:
    enough = not rules.have(Guard.THREE_NOT_FOUNDS)
    return UnknownOrder(
        not_after_ms=_NOT_AFTER_MS,
        not_found_count=unknown_order_policy.NOT_FOUNDS_NEEDED - 1 if enough else row.not_founds,
        unknown_since_ms=0,
        not_founds_needed=unknown_order_policy.NOT_FOUNDS_NEEDED,
        attempt=row.attempt,
        attempts=ATTEMPTS if rules.have(Guard.ATTEMPTS_BOUNDED) else _UNBOUNDED,
        send_again_ms=0,
    )


def _void(state: State, rules: Rules) -> Iterator[Step]:
    """The void is decided at the venue gateway in one piece; its answer may be lost."""
    row = state.row
    assert row is not None  # noqa: S101 - a void is asked for an order that has a row
    done = state if state.orders else replace(state, voided=True)
    poll = LookupResult.FOUND if state.orders else LookupResult.VOIDED
    case = _case(rules, row)
    for answer, after in (
        (poll, done),
        (LookupResult.NO_ANSWER, done),
        (LookupResult.NO_ANSWER, state),
    ):
        act = unknown_order_policy.after_void(case, answer, _instants(state, rules)[-1])
        plan = Reconciler()
        if act is not NextAction.WAIT:
            plan = Reconciler("write", act.name, state.confirm.epoch)
        voided = ", voided" if after.voided and not state.voided else ""
        label = f"confirm: asks for a void{voided}: {answer.name}, so {act.name}"
        yield Step(label, replace(after, confirm=plan), helps=answer is not LookupResult.NO_ANSWER)


def _write(state: State, rules: Rules) -> Step:
    if state.confirm.act == NextAction.SEND_AGAIN.name:
        return _want(state, rules)
    target = _TARGETS[NextAction[state.confirm.act]]
    written = compare_and_set(state, rules, UNKNOWN, state.confirm.epoch, target)
    return Step(f"confirm: writes {target}", replace(written, confirm=Reconciler()))


def _want(state: State, rules: Rules) -> Step:
    """Another attempt is wanted, if the order still is where confirm saw it."""
    row = state.row
    there = row is not None and row.state == UNKNOWN
    if (
        row is not None
        and there
        and (row.epoch == state.confirm.epoch or not rules.have(Guard.EPOCH_CAS))
    ):
        state = replace(state, row=replace(row, desired=True))
    return Step("confirm: wants it sent again", replace(state, confirm=Reconciler()))
