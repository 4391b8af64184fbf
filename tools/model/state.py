"""The state of the world of one order: stores, two owners, confirm, network and venue gateway.

Structs of strings and small integers that keep their hash, because millions are looked up. The
helpers here are the only writers of the order's row, so that no step can leave the table of legal
transitions.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from tools.model.guards import Guard, Rules
from tradingtools.domain.order_states import LEGAL, RELEASING, FailedKind, OrderState

_LEGAL = frozenset((None if a is None else a.value, b.value) for a, b in LEGAL)
_RELEASING = frozenset(state.value for state in RELEASING)

CLAIMED, SUBMITTING = OrderState.CLAIMED.value, OrderState.SUBMITTING.value
SUBMITTED, UNKNOWN = OrderState.SUBMITTED.value, OrderState.UNKNOWN.value
CONFIRMED, FAILED = OrderState.CONFIRMED.value, OrderState.FAILED.value
LOST, DEAD = OrderState.LOST.value, OrderState.DEAD.value
ENDS = frozenset({CONFIRMED, FAILED, LOST, DEAD})

ATTEMPTS = 2
"""How often an order is sent in all, with A."""

BEFORE_DEADLINE, BEFORE_HORIZON, PAST_HORIZON = range(3)
"""Instants that differ: before not_after, then before the horizon, then past it."""


class Row(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """The order's row."""

    state: str
    epoch: int = 0
    attempt: int = 0
    not_founds: int = 0
    failed: str = ""
    desired: bool = False
    """confirm wants this UNKNOWN to be sent again."""


class Owner(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """One executor process. `life` is the epoch of the lease it took; 0: never started."""

    at: str
    life: int = 0
    seen: bool = False
    """Its memory of having handled the key."""
    streams: bool = True
    """Its part of the stream holds the claim's message."""
    via: int = 0
    """How the claim came: 0 by the stream, 1 by polling; batches of both differ."""
    epoch: int = 0
    """The order's epoch and attempt that it works for."""
    attempt: int = 0
    sends: int = 0


class Reconciler(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """confirm, between its question and what it writes. `act` is the name of a `fate.Act`."""

    at: str = "idle"
    act: str = ""
    epoch: int = 0


class State(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """Everything at one instant."""

    now: int = BEFORE_DEADLINE
    paused: bool = False
    router: str = "plan"
    message: bool = False
    """The claim's message is in the stream; it can be read again and again, and late."""
    row: Row | None = None
    records: frozenset[tuple[int, int]] = frozenset()
    """SUBMITTING records in the journal that may still be asked about, by (life, via)."""
    unbuilt: int = 0
    """How many of them are not rows yet."""
    lease: int = 1
    owners: tuple[Owner, Owner] = (Owner("idle", 1), Owner("off"))
    confirm: Reconciler = Reconciler()
    net: int = 0
    """Requests on their way that nobody waits for any more."""
    taken: int = 0
    """Requests that the venue gateway has let in and not finished, that nobody waits for."""
    orders: int = 0
    """What the venue gateway has accepted under the key."""
    killed: bool = False
    """The accepted order ended with nothing filled."""
    voided: bool = False
    stale: int = 0
    """How often the venue gateway has answered from a copy that lagged."""
    broken: str = ""


def violate(state: State, words: str) -> State:
    """The state, marked; the first mark stays."""
    return state if state.broken else replace(state, broken=words)


def move(state: State, row: Row) -> State:
    """Write the row. Every write of its state comes through here (I6)."""
    before = state.row
    source = None if before is None else before.state
    state = replace(state, row=row)
    if (source, row.state) not in _LEGAL:
        return violate(state, f"I6: {source} -> {row.state} is not legal")
    if before is not None and row.epoch < before.epoch:
        return violate(state, f"I6: the epoch fell from {before.epoch} to {row.epoch}")
    return state


def compare_and_set(
    state: State, rules: Rules, source: str, expected: int, target: str, **columns: object
) -> State:
    """Move the row if it is still where the writer believes it to be; else nothing happens."""
    row = state.row
    if row is None or row.state != source:
        return state
    if rules.have(Guard.EPOCH_CAS) and row.epoch != expected:
        return state
    columns.setdefault("failed", "")
    if rules.have(Guard.WISH_OF_ONE_EPOCH):
        columns["desired"] = False
    return move(state, replace(row, state=target, not_founds=0, **columns))


def build(state: State, rules: Rules) -> State:
    """Turn SUBMITTING records into the row, as `build_rows` does."""
    for _ in range(state.unbuilt):
        state = compare_and_set(state, rules, CLAIMED, 0, SUBMITTING, epoch=1, attempt=1)
    return replace(state, unbuilt=0)


def judge(state: State, rules: Rules) -> State:
    """Mark a state that breaks I1, I2, I4 or that released money too early."""
    if state.broken or state.orders == 0:
        return _judge_money(state, rules)
    row = state.row
    if state.orders > 1:
        return violate(state, "I1: two orders were accepted under one key")
    if row is None:
        return violate(state, "I2: the venue gateway has an order without a row")
    ended_empty = row.failed == FailedKind.KILLED.value and state.killed
    if row.state == LOST or (row.state == FAILED and not ended_empty):
        return violate(
            state, f"I4: the row says {row.state} {row.failed}, the venue gateway has it"
        )
    return _judge_money(state, rules)


def _judge_money(state: State, rules: Rules) -> State:
    row = state.row
    if row is None:
        return state
    released = row.state in _RELEASING or (
        row.state == DEAD and not rules.have(Guard.DEAD_KEEPS_MONEY)
    )
    closed = row.state == CONFIRMED or state.killed
    if released and state.orders and not closed:
        return violate(state, f"MONEY: released at {row.state} while an order lives")
    if row.state == CONFIRMED and state.orders != 1:
        return violate(state, "I4: CONFIRMED without an order at the venue gateway")
    return state
