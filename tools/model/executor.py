"""The steps of an executor process: take a claim, make SUBMITTING durable, POST, record the answer.

Two of them share one world: the owner of the partition and its successor; each may crash between
any two steps and sleep for any time. A statement is one step as long as its locks stand; without a
lock it falls into check and commit.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from tools.model.explore import Step
from tools.model.gateway import MEANINGS, UNKNOWN, finish, refusal
from tools.model.guards import Guard, Rules
from tools.model.state import (
    ATTEMPTS,
    BEFORE_DEADLINE,
    CLAIMED,
    FAILED,
    SUBMITTED,
    SUBMITTING,
    Owner,
    State,
    build,
    compare_and_set,
    violate,
)
from tools.model.state import UNKNOWN as UNKNOWN_STATE
from tradingtools.domain.order_states import FailedKind
from tradingtools.venues.ports import Meaning

SENDS = (0, 2, 1)
"""How often each attempt may be POSTed while the venue gateway provably did not take it."""
NAMES = ("A", "B")
REQUEST_AT = frozenset({"net", "taken"})


def put(state: State, who: int, owner: Owner) -> State:
    """The state with one owner replaced."""
    first, second = state.owners
    return replace(state, owners=(owner, second) if who == 0 else (first, owner))


def steps(state: State, rules: Rules, who: int) -> Iterator[Step]:
    """Everything one owner can do now, crash included."""
    owner = state.owners[who]
    name = NAMES[who]
    for label, after, helps in _work(state, rules, who, owner):
        yield Step(f"{name}: {label}", after, helps)
    last_life = owner.life >= rules.lives
    if owner.at not in ("off", "down") and not last_life:
        yield Step(f"{name}: crashes", _orphan(put(state, who, Owner("down")), owner),
                   helps=False)  # fmt: skip


_Move = tuple[str, State, bool]


def _work(state: State, rules: Rules, who: int, owner: Owner) -> Iterator[_Move]:
    if owner.at in ("off", "down"):
        if who == 1 and not _mid_statement(state, rules):
            yield _take_over(state, who)
    elif owner.at == "recovering":
        yield _recover(state, rules, who, owner)
    elif owner.at == "idle":
        yield from _poll_for_work(state, rules, who, owner)
    elif owner.at in ("admit", "checked"):
        yield from _admit(state, rules, who, owner)
    elif owner.at == "refuse":
        yield _record_refusal(state, rules, who, owner)
    elif owner.at == "send":
        yield from _send(state, rules, who, owner)
    elif owner.at in REQUEST_AT:
        yield from _wait(state, rules, who, owner)
    else:
        yield _record(state, rules, who, owner)


def _orphan(state: State, owner: Owner) -> State:
    """Its request goes on without it."""
    if owner.at == "net":
        return replace(state, net=state.net + 1)
    if owner.at == "taken":
        return replace(state, taken=state.taken + 1)
    return state


def _mid_statement(state: State, rules: Rules) -> bool:
    """Return whether a takeover has to wait for a statement that holds the lease's row."""
    return rules.have(Guard.LEASE_ROW_LOCK) and any(o.at == "checked" for o in state.owners)


def _take_over(state: State, who: int) -> _Move:
    life = state.lease + 1
    after = put(replace(state, lease=life), who, Owner("recovering", life))
    return f"takes the partition over (lease epoch {life})", after, True


def _recover(state: State, rules: Rules, who: int, owner: Owner) -> _Move:
    streams = state.row is None or not rules.have(Guard.STREAM_AFTER_RECOVERY)
    after = build(state, rules) if rules.have(Guard.RECORDS_BEFORE_POLLING) else state
    return "recovers", put(after, who, replace(owner, at="idle", streams=streams)), True


def _poll_for_work(state: State, rules: Rules, who: int, owner: Owner) -> Iterator[_Move]:
    row = state.row
    if not owner.seen or not rules.have(Guard.IN_FLIGHT_MEMORY):
        for via, there, words in (
            (0, state.message and owner.streams, "reads the claim from the stream"),
            (1, rules.have(Guard.POLLING) and row is not None and row.state == CLAIMED,
             "finds the claim in PostgreSQL"),
        ):  # fmt: skip
            if there:
                took = replace(owner, at="admit", seen=True, via=via, epoch=1, attempt=1, sends=0)
                yield words, put(state, who, took), True
    if row is not None and row.state == UNKNOWN_STATE:
        yield from _send_again(state, rules, who, owner)


def _send_again(state: State, rules: Rules, who: int, owner: Owner) -> Iterator[_Move]:
    """Yield what confirm wants: the statement with its gates, then the POST."""
    row = state.row
    assert row is not None  # noqa: S101 - the caller has looked
    if not row.desired or (rules.have(Guard.LEASE_IN_STATEMENT) and state.lease != owner.life):
        return
    if _denied(state, rules):
        refused = replace(state, row=replace(row, desired=False))
        yield "is denied another attempt", refused, False
        return
    epoch, attempt = row.epoch + 1, row.attempt + 1
    took = replace(owner, at="send", seen=True, epoch=epoch, attempt=attempt, sends=0)
    if not rules.have(Guard.RETRY_BEFORE_POST):
        yield f"goes on to POST attempt {attempt} before its commit", put(state, who, took), False
        return
    after = compare_and_set(
        state, rules, UNKNOWN_STATE, row.epoch, SUBMITTING, epoch=epoch, attempt=attempt
    )
    after = _judge_commit(after)
    if attempt > ATTEMPTS:
        after = violate(after, f"ATTEMPTS: {attempt} were made, {ATTEMPTS} are allowed")
    label = f"commits SUBMITTING again (attempt {attempt})"
    yield label, put(after, who, took), False
    yield f"{label}, not acknowledged", after, False


def _denied(state: State, rules: Rules) -> bool:
    late = state.now > BEFORE_DEADLINE and rules.have(Guard.NOT_AFTER_IN_STATEMENT)
    return late or (state.paused and rules.have(Guard.PAUSE_IN_STATEMENT))


def _judge_commit(state: State, *, clock_was_read: bool = False) -> State:
    # No lock stops the clock: between its reading and the commit it may go on.
    if state.now > BEFORE_DEADLINE and not clock_was_read:
        return violate(state, "I8: SUBMITTING was committed after not_after")
    if state.paused:
        return violate(state, "I8: SUBMITTING was committed after an acknowledged pause")
    return state


def _admit(state: State, rules: Rules, who: int, owner: Owner) -> Iterator[_Move]:
    """The SUBMITTING statement: one step, or check and commit where a lock is missing."""
    checked = owner.at == "checked"
    lease_now = not checked or rules.have(Guard.LEASE_ROW_LOCK)
    pause_now = not checked or rules.have(Guard.PAUSE_LOCK)
    if lease_now and rules.have(Guard.LEASE_IN_STATEMENT) and state.lease != owner.life:
        yield "is fenced and ends", put(state, who, Owner("down")), True
        return
    if pause_now and _denied(state, rules):
        yield "is denied", put(state, who, replace(owner, at="refuse")), True
        return
    if not checked:
        refused = put(state, who, replace(owner, at="refuse"))
        yield "refuses it by its last gate", refused, False
    locks = rules.have(Guard.LEASE_ROW_LOCK) and rules.have(Guard.PAUSE_LOCK)
    if not checked and not locks:
        yield "has checked lease and gates", put(state, who, replace(owner, at="checked")), True
        return
    yield from _commit(state, rules, who, owner)


def _commit(state: State, rules: Rules, who: int, owner: Owner) -> Iterator[_Move]:
    sending = replace(owner, at="send")
    if not rules.have(Guard.SUBMITTING_BEFORE_POST):
        yield "goes on to the POST before its commit", put(state, who, sending), True
        return
    record = (owner.life, owner.via)
    if record in state.records:
        there = put(state, who, replace(owner, at="idle"))
        yield "finds its record there and does not send", there, True
        return
    inserted = _judge_commit(
        replace(state, records=state.records | {record}, unbuilt=state.unbuilt + 1),
        clock_was_read=owner.at == "checked",
    )
    yield "commits SUBMITTING", put(inserted, who, sending), True
    asks = replace(owner, at="admit")
    if rules.have(Guard.LOST_ACK_NOT_SENT):
        yield "commits SUBMITTING, not acknowledged", put(inserted, who, asks), False
    else:
        yield "takes a lost COMMIT for a commit", put(state, who, sending), False


def _record_refusal(state: State, rules: Rules, who: int, owner: Owner) -> _Move:
    after = state
    if state.lease == owner.life or not rules.have(Guard.FAIL_UNDER_LEASE):
        after = compare_and_set(state, rules, CLAIMED, 0, FAILED, failed=FailedKind.UNSENT.value)
    return "records what was refused", put(after, who, replace(owner, at="idle")), True


def _send(state: State, rules: Rules, who: int, owner: Owner) -> Iterator[_Move]:
    nothing = put(state, who, replace(owner, at=Meaning.NOT_ACCEPTED.name))
    if state.now > BEFORE_DEADLINE or owner.sends >= SENDS[owner.attempt]:
        yield "may not send any more", nothing, True
        return
    sent = replace(owner, sends=owner.sends + 1)
    yield "gets no connection", put(state, who, sent), False
    after = put(state, who, replace(sent, at="net"))
    row = state.row
    attempted = row is not None and row.attempt >= owner.attempt
    if not attempted and all(life != owner.life for life, _ in state.records):
        after = violate(after, "I5: a POST left without a committed SUBMITTING")
    if owner.attempt > 1 and not rules.have(Guard.BODY_FROZEN):
        after = violate(after, "I7: a retry carries other bytes than the first attempt")
    yield f"POSTs (attempt {owner.attempt})", after, True


def _wait(state: State, rules: Rules, who: int, owner: Owner) -> Iterator[_Move]:
    given_up = _orphan(put(state, who, replace(owner, at=UNKNOWN)), owner)
    yield "gives up waiting", given_up, True
    if owner.at == "net":
        answer = refusal(state, rules)
        if answer is None:
            yield "request is let in", put(state, who, replace(owner, at="taken")), False
            for answer in ("400 INSUFFICIENT_BALANCE", "429 RATE_LIMITED", "502 of a proxy"):
                yield _answered(state, who, owner, answer)
        else:
            yield _answered(state, who, owner, answer)
        return
    answer, after = finish(state, rules)
    yield _answered(after, who, owner, answer)
    if answer == "200 order":
        yield _answered(after, who, owner, "200 cut off")


def _answered(state: State, who: int, owner: Owner, answer: str) -> _Move:
    meaning = MEANINGS[answer]
    again = meaning == Meaning.NOT_ACCEPTED.name and owner.sends < SENDS[owner.attempt]
    at = "send" if again else meaning
    return f"is answered {answer}: {meaning}", put(state, who, replace(owner, at=at)), False


def _record(state: State, rules: Rules, who: int, owner: Owner) -> _Move:
    """Rows and outcome in one transaction, behind the POST."""
    target, failed = _outcome(rules, owner)
    after = compare_and_set(
        build(state, rules), rules, SUBMITTING, owner.epoch, target, failed=failed
    )
    return f"records {target}", put(after, who, replace(owner, at="idle")), True


def _outcome(rules: Rules, owner: Owner) -> tuple[str, str]:
    if owner.at == Meaning.ACCEPTED.name:
        return SUBMITTED, ""
    if owner.at == UNKNOWN and rules.have(Guard.UNPROVEN_IS_UNKNOWN):
        return UNKNOWN_STATE, ""
    if owner.attempt > 1 and rules.have(Guard.RETRY_REJECTION_UNKNOWN):
        return UNKNOWN_STATE, ""
    unsent = owner.at == Meaning.NOT_ACCEPTED.name
    return FAILED, (FailedKind.UNSENT if unsent else FailedKind.REJECTED).value
