"""Each transition that there is has its event, or a reason in the table to have none."""

from __future__ import annotations

from services.events.core.payloads import payload_of
from tools import event_tables
from tradingtools.domain import event_types, order_states, trigger_states
from tradingtools.domain.event_types import EventType


def test_every_transition_of_an_order_is_in_the_table() -> None:
    assert set(event_types.ORDER_EVENTS) == order_states.LEGAL


def test_every_transition_of_a_trigger_is_in_the_table() -> None:
    assert set(event_types.TRIGGER_EVENTS) == trigger_states.TRANSITIONS


def test_only_what_is_told_elsewhere_has_no_event() -> None:
    silent = {move for move, kind in event_types.ORDER_EVENTS.items() if kind is None}
    states = {target.value for _, target in silent}
    assert states == {"CLAIMED", "SUBMITTING"}


def test_every_type_says_what_it_tells_and_has_data() -> None:
    assert set(event_types.MEANINGS) == set(EventType)
    for kind in EventType:
        assert payload_of(kind).__doc__


def test_the_documents_are_those_of_the_code() -> None:
    for name, text in event_tables.documents().items():
        committed = (event_tables.DOCS / name).read_text(encoding="utf-8")
        assert committed == text, "run python -m tools.event_tables"


def test_types_are_named_as_subject_and_verb() -> None:
    for kind in EventType:
        subject, _, verb = kind.partition(".")
        assert subject.isalpha(), kind
        assert verb.replace("_", "").isalpha(), kind
