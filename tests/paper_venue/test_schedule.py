from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper.venue import tape
from paper.venue.core.schedule import (
    Event,
    Kind,
    Pace,
    delivery,
    resolutions,
    salted,
    starts,
    timeline,
    transactions,
)

ROWS, _ = tape.load(None)
PACE = Pace(mean_gap_ms=180, max_gap_ms=2_000)


@pytest.fixture(scope="module")
def steps() -> tuple[Event, ...]:
    return timeline(ROWS, PACE)


def at(steps: tuple[Event, ...], kind: Kind) -> dict[int, int]:
    return {step.row: step.at_ms for step in steps if step.kind is kind}


def test_rows_of_one_transaction_keep_their_gaps(steps: tuple[Event, ...]) -> None:
    played = at(steps, Kind.ROW)
    several = [group for group in transactions(ROWS) if len(group) > 1]
    assert len(several) == 16
    for group in several:
        recorded = [ROWS[i].recv_ms - ROWS[group[0]].recv_ms for i in group]
        assert [played[i] - played[group[0]] for i in group] == recorded


def test_transactions_keep_their_order_and_every_row_is_played_once(
    steps: tuple[Event, ...],
) -> None:
    played = at(steps, Kind.ROW)
    assert sorted(played) == list(range(len(ROWS)))
    begins = [played[group[0]] for group in transactions(ROWS)]
    assert begins == sorted(begins)


def test_250_transactions_fit_in_50_seconds_anywhere_on_the_tape(steps: tuple[Event, ...]) -> None:
    played = at(steps, Kind.ROW)
    begins = [played[group[0]] for group in transactions(ROWS)]
    assert all(later - first <= 50_000 for first, later in zip(begins, begins[250:], strict=False))


def test_books_move_before_their_trades_and_after_the_trade_before(
    steps: tuple[Event, ...],
) -> None:
    played, moved = at(steps, Kind.ROW), at(steps, Kind.ANCHOR)
    assert moved.keys() == played.keys()
    assert all(moved[row] <= played[row] for row in played)
    assert sum(played[row] - moved[row] == 600 for row in played) > len(played) // 2
    place = {(step.kind, step.row): index for index, step in enumerate(steps)}
    assert all(place[Kind.ANCHOR, row] < place[Kind.ROW, row] for row in played)


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=200),
    st.integers(1, 500),
    st.integers(1, 5_000),
)
def test_gaps_are_only_ever_shortened(gaps: list[int], mean: int, most: int) -> None:
    recorded = [sum(gaps[:n]) for n in range(len(gaps) + 1)]
    started = starts(recorded, Pace(mean_gap_ms=mean, max_gap_ms=most))
    made = [b - a for a, b in pairwise(started)]
    assert all(0 <= new <= min(old, most) for new, old in zip(made, gaps, strict=True))
    assert started[-1] <= mean * len(gaps)


def test_the_same_seed_gives_the_same_run_and_salts_differ() -> None:
    assert timeline(ROWS, PACE) == timeline(ROWS, PACE)
    fate = delivery("0:1", 1, late_permille=500, lone_permille=500)
    assert fate == delivery("0:1", 1, late_permille=500, lone_permille=500)
    tx = ROWS[0].trade.tx
    assert salted(tx, "", 3) == tx
    made = {salted(tx, salt, lap) for salt in ("a", "b") for lap in (0, 1)}
    assert len(made) == 4
    assert all(len(one) == 66 and one.startswith("0x") for one in made)


def test_fates_are_as_frequent_as_asked() -> None:
    fates = [delivery(f"0:{n}", 7, late_permille=20, lone_permille=30) for n in range(5_000)]
    assert 50 <= sum(fate.late_ms > 0 for fate in fates) <= 150
    assert 90 <= sum(fate.single for fate in fates) <= 220
    assert all(500 <= fate.indexed_ms <= 3_000 for fate in fates)
    assert not any(
        delivery(f"0:{n}", 7, late_permille=0, lone_permille=0).late_ms for n in range(99)
    )


def test_markets_resolve_after_their_last_row() -> None:
    last = resolutions(ROWS, 3, 5)
    assert len(last) == 5
    steps = timeline(ROWS, PACE, last)
    played, resolved = at(steps, Kind.ROW), at(steps, Kind.RESOLVE)
    for index, when in resolved.items():
        condition = ROWS[index].trade.condition
        assert when > max(played[i] for i, r in enumerate(ROWS) if r.trade.condition == condition)
