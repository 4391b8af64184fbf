"""The tables of states: whole, free of doubles, and the same in code and documentation."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from tools import state_tables
from tradingtools.domain import order_states, performance_states, trigger_states
from tradingtools.domain.order_states import (
    LEGAL,
    OPEN,
    RELEASING,
    TRANSITIONS,
    OrderState,
    operator_ends,
)
from tradingtools.domain.performance_states import PerformanceState
from tradingtools.domain.reasons import Reason
from tradingtools.domain.trigger_states import EDITABLE, FINAL, TriggerStatus
from tradingtools.venues.insiders.schemas import DEFINITIVE_REJECTIONS

P, S, T = PerformanceState, OrderState, TriggerStatus


def reachable(start: StrEnum, steps: Iterable[tuple[StrEnum | None, StrEnum]]) -> set[StrEnum]:
    """Every state that some path leads to, the start included."""
    known, found = list(steps), {start}
    while True:
        more = {b for a, b in known if a in found} - found
        if not more:
            return found
        found |= more


def test_every_order_state_is_reached_from_a_claim() -> None:
    assert reachable(S.CLAIMED, LEGAL) == set(S)
    assert [t.target for t in TRANSITIONS if t.source is None] == [S.CLAIMED]


def test_no_transition_is_there_twice_and_none_is_a_loop() -> None:
    assert len(LEGAL) == len(TRANSITIONS)
    assert all(t.source is not t.target for t in TRANSITIONS)
    assert all(t.guard for t in TRANSITIONS)


def test_order_states_are_open_ended_or_a_persons() -> None:
    assert not OPEN & RELEASING
    assert set(S) - OPEN - RELEASING == {S.DEAD, S.RESURRECTED}
    assert all(any(source is s for source, _ in LEGAL) for s in S)


def test_from_every_open_state_an_end_is_reached() -> None:
    for state in OPEN:
        assert reachable(state, LEGAL) & RELEASING


def test_what_was_given_up_comes_back_only_as_a_breach() -> None:
    assert {b for a, b in LEGAL if a in RELEASING} == {S.RESURRECTED}


def test_only_a_claim_or_an_unknown_order_is_submitted() -> None:
    assert {a for a, b in LEGAL if b is S.SUBMITTING} == {S.CLAIMED, S.UNKNOWN}


def test_a_sent_order_is_lost_only_after_it_was_unknown() -> None:
    assert {a for a, b in LEGAL if b is S.LOST} == {S.UNKNOWN}
    assert {a for a, b in LEGAL if b is S.DEAD} == {S.UNKNOWN, S.SUBMITTED}


def test_a_person_ends_what_the_engine_cannot_and_nothing_else() -> None:
    assert {s: set(operator_ends(s)) for s in S if operator_ends(s)} == {
        S.DEAD: {S.CONFIRMED, S.FAILED},
        S.RESURRECTED: {S.CONFIRMED, S.FAILED},
    }


def test_every_trigger_status_is_reached_and_ends() -> None:
    assert reachable(T.WAITING, trigger_states.TRANSITIONS) == set(T)
    for status in set(T) - FINAL:
        assert reachable(status, trigger_states.TRANSITIONS) & FINAL
        assert (status, T.RESOLVED) in trigger_states.TRANSITIONS
    assert not {a for a, _ in trigger_states.TRANSITIONS} & FINAL
    assert not EDITABLE & FINAL


def test_a_trigger_with_an_exit_under_way_cannot_be_cancelled() -> None:
    sources = {a for a, b in trigger_states.TRANSITIONS if b is T.CANCELLED}
    assert sources == EDITABLE


def test_performance_states_are_reached_a_stop_needs_a_person() -> None:
    table = performance_states.TRANSITIONS
    assert reachable(P.WATCHING, {(a, b) for a, b in table if a is not None}) == set(P)
    assert {b for a, b in table if a is None} == {P.WATCHING}
    assert {b for a, b in table if a is P.STOPPED} == {P.WATCHING}
    assert set(performance_states.MEANINGS) == set(P)


def test_reason_codes_have_meanings_of_their_own() -> None:
    meanings = [reason.meaning for reason in Reason]
    assert all(meaning.endswith(".") for meaning in meanings)
    assert len(set(meanings)) == len(meanings)
    assert [reason for reason in Reason if not reason] == [Reason.NONE]
    assert all(reason == reason.name for reason in Reason if reason)


def test_refusals_of_insiders_api_are_documented_reasons() -> None:
    assert set(Reason) >= DEFINITIVE_REJECTIONS


def test_every_way_to_fail_is_documented() -> None:
    assert set(state_tables.FAILED_KINDS) == set(order_states.FailedKind)


def test_the_committed_documents_are_current() -> None:
    for name, text in state_tables.documents().items():
        committed = (state_tables.DOCS / name).read_text(encoding="utf-8")
        assert committed == text, f"docs/{name}: run python -m tools.state_tables"
