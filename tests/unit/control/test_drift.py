"""What would be held if every copy had worked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.control.core.drift import Event, Kind, Shortfall, ideal, unexplained

BUY = Event(kind=Kind.ENTRY, size_micros=10)


def sell(sold: int, held: int | None, *, everything: bool = False) -> Event:
    return Event(kind=Kind.LEADER_SELL, size_micros=sold, held_micros=held, everything=everything)


@pytest.mark.parametrize(
    ("events", "held"),
    [
        ([], 0),
        ([BUY, BUY], 20),
        ([BUY, sell(1, 4)], 8),  # 2.5 of 10 round to 2: what is not sold is held
        ([BUY, sell(4, 4)], 0),
        ([BUY, sell(5, 4)], 0),
        ([BUY, sell(1, None)], 0),
        ([BUY, sell(1, 0)], 0),
        ([BUY, sell(1, 4, everything=True)], 0),
        ([sell(1, 2), BUY], 10),
        ([BUY, Event(kind=Kind.OWN_SALE, size_micros=3)], 7),
        ([BUY, Event(kind=Kind.OWN_SALE, size_micros=30)], 0),
        ([BUY, Event(kind=Kind.RESOLVED), BUY], 10),
        ([BUY, Event(kind=Kind.RESYNC, size_micros=25), BUY], 35),
        ([BUY, Event(kind=Kind.RESYNC, size_micros=3)], 3),
    ],
)
def test_each_event_moves_what_would_be_held(events: list[Event], held: int) -> None:
    assert ideal(events) == held


@given(
    st.lists(
        st.builds(
            Event,
            kind=st.sampled_from(Kind),
            size_micros=st.integers(0, 10**12),
            held_micros=st.none() | st.integers(0, 10**12),
            everything=st.booleans(),
        )
    )
)
def test_never_less_than_nothing_nor_more_than_was_ordered(events: list[Event]) -> None:
    adding = (Kind.ENTRY, Kind.RESYNC)
    bought = sum(event.size_micros for event in events if event.kind in adding)
    assert 0 <= ideal(events) <= bought


def test_what_no_reason_names_is_the_rest() -> None:
    missing = Shortfall(side="BUY", reason="NOTHING_FILLED", number=1, size_micros=4)
    too_many = Shortfall(side="SELL", reason="HALTED", number=1, size_micros=3)
    skipped = Shortfall(side="BUY", reason="TOO_OLD", number=9, size_micros=None)
    assert unexplained(10, 6, [missing, skipped]) == 0
    assert unexplained(5, 8, [too_many]) == 0
    assert unexplained(10, 9, [missing, too_many]) == 0
    assert unexplained(10, 9, [skipped]) == 1
