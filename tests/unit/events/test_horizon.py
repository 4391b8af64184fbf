"""No row is passed over: the horizon stays below every number that may still appear."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.events.core.horizon import Horizon, HorizonReading


def poll(newest: int, xid: int, oldest_xid: int) -> HorizonReading:
    return HorizonReading(newest=newest, xid=xid, oldest_xid=oldest_xid)


def test_what_nobody_writes_any_more_is_complete_at_once() -> None:
    assert Horizon(0).see(poll(7, 100, 100)) == 7


def test_running_transaction_holds_back_earlier_events() -> None:
    horizon = Horizon(3)
    assert horizon.see(poll(7, 100, 99)) == 3
    assert horizon.see(poll(9, 105, 99)) == 3
    # 99 has ended; 101 may still write a number up to 9.
    assert horizon.see(poll(12, 110, 101)) == 7
    assert horizon.see(poll(12, 111, 111)) == 12


@given(st.data())
def test_a_log_made_below_the_horizon_misses_nothing(data: st.DataObject) -> None:
    """Random writers take an id, then numbers, and commit or not in any order."""
    next_xid, newest = 1, 0
    running: dict[int, list[int]] = {}
    committed: set[int] = set()
    horizon = Horizon(0)
    reported: list[int] = []
    for _ in range(data.draw(st.integers(1, 60))):
        step = data.draw(st.sampled_from(["begin", "number", "end", "look"]))
        if step == "begin":
            running[next_xid] = []
            next_xid += 1
        elif step == "number" and running:
            newest += 1
            running[data.draw(st.sampled_from(sorted(running)))].append(newest)
        elif step == "end" and running:
            rows = running.pop(data.draw(st.sampled_from(sorted(running))))
            if data.draw(st.booleans()):
                committed |= set(rows)
        elif step == "look":
            before = horizon.complete
            complete = horizon.see(poll(newest, next_xid, min(running, default=next_xid)))
            next_xid += 1
            reported += sorted(n for n in committed if before < n <= complete)
    while running:
        committed |= set(running.popitem()[1])
    before = horizon.complete
    reported += sorted(
        n for n in committed if before < n <= horizon.see(poll(newest, next_xid, next_xid))
    )
    assert reported == sorted(committed)
