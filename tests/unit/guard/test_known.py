"""Which time stops are due equals what a scan of all triggers finds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.guard.core.trigger import Trigger
from services.guard.known import Known
from tests.unit.guard.samples import trigger_of
from tradingtools.domain.trigger_states import FINAL, TriggerStatus
from tradingtools.domain.trigger_types import TriggerType

changes = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.one_of(st.none(), st.integers(1, 5)),
        st.sampled_from([*TriggerStatus]),
    ),
    max_size=20,
)


def _as_it_is(identifier: str, fire_at_ms: int | None, status: TriggerStatus) -> Trigger:
    kind = TriggerType.STOP_LOSS if fire_at_ms is None else TriggerType.TIME_STOP
    price = 500_000 if fire_at_ms is None else None
    made = replace(trigger_of(kind), price_micros=price, fire_at_ms=fire_at_ms)
    return replace(made, id=identifier, status=status)


@given(changes, st.integers(0, 6))
def test_due_is_what_a_scan_finds(
    made: list[tuple[str, int | None, TriggerStatus]], now: int
) -> None:
    known, plain = Known(0, 1), dict[str, int | None]()
    for identifier, fire_at_ms, status in made:
        known.put(_as_it_is(identifier, fire_at_ms, status))
        plain.pop(identifier, None)
        if status not in FINAL:
            plain[identifier] = fire_at_ms
    assert known.due(now) == {i for i, at in plain.items() if at is not None and at <= now}
    assert set(known.all()) == set(plain)
