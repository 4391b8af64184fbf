"""Equal worlds under one name: what cannot make a difference any more is forgotten.

The worlds call it after each step. It only ever forgets what no later step can read, so nothing
that could go wrong is lost; it makes the walk about ten times shorter.
"""

from __future__ import annotations

from functools import cache

from msgspec.structs import astuple, replace

from tools.model.guards import Guard, Rules
from tools.model.state import (
    BEFORE_DEADLINE,
    CLAIMED,
    PAST_HORIZON,
    SUBMITTING,
    UNKNOWN,
    Owner,
    Reconciler,
    State,
)
from tradingtools.venues.ports import Meaning

_READS_RECORDS = frozenset({"admit", "checked", "send", "net", "taken"})
_READS_VIA = frozenset({"admit", "checked", "send"})
_COUNTS_SENDS = frozenset({"send", "net", "taken"})
_VERDICTS = frozenset(meaning.name for meaning in Meaning)
_HOLDS_NOTHING = frozenset({"idle", "refuse"})
_RETURNS_TO_SUBMITTING = frozenset({CLAIMED, SUBMITTING, UNKNOWN})


def canonical(state: State, rules: Rules) -> State:
    """The representative of all states that behave like this one."""
    return _requests(_stores(_owners(state, rules), rules), rules)


def _owners(state: State, rules: Rules) -> State:
    first, second = state.owners
    row = None if state.row is None else state.row.state
    unique, memory = rules.have(Guard.CLAIM_UNIQUE), rules.have(Guard.IN_FLIGHT_MEMORY)
    before = (_owner(first, row, unique, memory), _owner(second, row, unique, memory))
    return state if before == state.owners else replace(state, owners=before)


@cache
def _owner(owner: Owner, row: str | None, unique: bool, memory: bool) -> Owner:
    """There are few owners in many states. The row's state; whether the two guards stand."""
    at, life, seen, streams, via, epoch, attempt, sends = astuple(owner)
    if at in ("off", "down", "recovering"):
        return owner
    if unique and _writes_in_vain(at, row):
        at = "idle"
    if at in _HOLDS_NOTHING:
        via = epoch = attempt = 0
    if at not in _READS_VIA:
        via = 0
    if at not in _COUNTS_SENDS:
        sends = 0
    if seen and memory:
        streams = False
    return Owner(at, life, seen, streams, via, epoch, attempt, sends)


def _writes_in_vain(at: str, row: str | None) -> bool:
    """Return whether what an owner is about to record can only find that the row is not its own."""
    if row is None:
        return False
    if at == "refuse":
        return row != CLAIMED
    return at in _VERDICTS and row not in _RETURNS_TO_SUBMITTING


def _stores(state: State, rules: Rules) -> State:
    row = state.row
    if row is None:
        return state
    if rules.have(Guard.IN_FLIGHT_MEMORY):
        state = _forget_records(state)
        if rules.have(Guard.STREAM_AFTER_RECOVERY) and rules.have(Guard.CLAIM_UNIQUE):
            state = _forget_message(state)
    if row.state != CLAIMED and state.unbuilt and rules.have(Guard.CLAIM_UNIQUE):
        state = replace(state, unbuilt=0)
    plan = state.confirm
    if plan.at == "write" and (
        row.state != UNKNOWN or (row.epoch != plan.epoch and rules.have(Guard.EPOCH_CAS))
    ):
        state = replace(state, confirm=Reconciler())
    late = state.now > BEFORE_DEADLINE and rules.have(Guard.NOT_AFTER_IN_STATEMENT)
    if late and not state.paused and rules.have(Guard.PAUSE_IN_STATEMENT):
        under_way = any(owner.at == "checked" for owner in state.owners)
        # Either of them denies; from here on a pause adds nothing.
        state = state if under_way else replace(state, paused=True)
    return state


def _forget_records(state: State) -> State:
    if not state.records:
        return state
    lives = {owner.life for owner in state.owners if owner.at in _READS_RECORDS}
    kept = frozenset(record for record in state.records if record[0] in lives)
    return state if kept == state.records else replace(state, records=kept)


def _forget_message(state: State) -> State:
    """Nobody is left who would read the stream: the successor begins after the claim."""
    for owner in state.owners:
        if owner.streams and owner.at not in ("off", "down", "recovering"):
            return state
    if state.router == "done" and not state.message:
        return state
    return replace(state, router="done", message=False)


def _requests(state: State, rules: Rules) -> State:
    """Drop requests without a reader that the venue gateway must refuse."""
    if not (state.net or state.taken):
        return state
    promises = rules.capabilities
    if promises.idempotency and state.orders:
        return replace(state, net=0, taken=0)
    if state.voided:
        atomic = rules.have(Guard.VOID_ATOMIC)
        state = replace(state, net=0, taken=0 if atomic else state.taken)
    if promises.not_after and state.now > BEFORE_DEADLINE:
        late = state.now >= PAST_HORIZON
        state = replace(state, net=0, taken=0 if late else state.taken)
    return state
