"""Rows become facts: whatever the order, repetition and sources, the counts end the same."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.merge import Fact, Merger
from services.ingest.publisher import to_event
from tests.ingest.rows import LEADER, row
from tradingtools.domain.money import MAX_MICROS
from tradingtools.venues.ports import TradeRow

NOW = 1_000_000_500
A, B = (1, "trades"), (2, "trades")


def merger(*, keep_ms: int = 600_000, capacity: int = 20_000) -> Merger:
    return Merger(keep_ms=keep_ms, capacity=capacity)


def test_equal_rows_add_up_within_one_source_only() -> None:
    state = merger()
    counts = [
        fact.count if (fact := state.feed(row(), source, NOW)) else None
        for source in (A, B, B, A, (1, "orders_matched"), A)
    ]
    assert counts == [1, None, 2, None, None, 3]


def test_rows_that_differ_in_anything_are_apart() -> None:
    state = merger()
    first = row()
    others = [
        row(2), row(side="SELL"), row(asset_id="8"), row(size=11), row(price_text="0.50"),
        row(leader="0x" + "b2" * 20),
    ]  # fmt: skip
    facts = [state.feed(one, A, NOW) for one in (first, *others)]
    assert [fact.count for fact in facts if fact] == [1] * 7


def test_catch_up_is_counted_apart_and_told_once() -> None:
    state = merger()
    state.feed(row(), A, NOW)
    facts = state.catch_up([row(), row(), row(2)], NOW)
    assert [(fact.row.tx[-1], fact.count, fact.source) for fact in facts] == [
        ("2", 1, "CATCH_UP"),
        ("1", 2, "CATCH_UP"),
    ]
    assert all(fact.found for fact in facts)
    assert state.catch_up([row(), row(), row(2)], NOW) == []
    # What the feed tells afterwards is the feed's own fact.
    late = state.feed(row(2), A, NOW)
    assert late is not None
    assert (late.count, late.source) == (1, "FEED")


def test_two_answers_of_the_data_api_do_not_add_up() -> None:
    state = merger()
    assert [fact.count for fact in state.catch_up([row()], NOW)] == [1]
    assert [fact.count for fact in state.catch_up([row(), row()], NOW)] == [2]
    assert state.catch_up([row()], NOW) == []


Delivery = tuple[int, int]
"""A row's number and the source that brings it; source 4 is an answer of the Data API."""


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
    st.integers(0, 2),
)
def test_any_interleaving_ends_in_the_same_counts(
    numbers: list[int], shuffle: object, answers: int
) -> None:
    kinds = [row(1), row(1, side="SELL"), row(1, price_text="0.51"), row(2)]
    rows = [kinds[number] for number in numbers]
    steps: list[tuple[int, TradeRow | None]] = [
        (source, one) for source in range(4) for one in rows
    ]
    steps += [(4, None)] * answers
    shuffle.shuffle(steps)  # type: ignore[attr-defined]
    state = merger()
    reported: dict[tuple[TradeRow, str], int] = {}
    for source, one in steps:
        if one is None:
            facts = state.catch_up(rows[::-1], NOW)
        else:
            fact = state.feed(one, (source // 2, ("trades", "orders_matched")[source % 2]), NOW)
            facts = [fact] if fact else []
        for fact in facts:
            key = (fact.row, fact.source)
            assert fact.count > reported.get(key, 0), "a fact only grows"
            reported[key] = fact.count
    expected = Counter(rows)
    assert {k[0]: n for k, n in reported.items() if k[1] == "FEED"} == expected
    caught = {k[0]: n for k, n in reported.items() if k[1] == "CATCH_UP"}
    assert caught == (expected if answers else {})


def test_memory_is_bounded_by_time_and_by_number() -> None:
    state = merger(keep_ms=1_000, capacity=50)
    for number in range(500):
        state.feed(row(number), A, NOW)
    assert len(state) == 50
    state.feed(row(1_000), A, NOW + 5_000)
    assert len(state) == 1


def test_a_leader_who_is_dropped_leaves_nothing() -> None:
    state = merger()
    state.catch_up([row()], NOW, leader=LEADER, positions={})
    state.drop_leader(LEADER)
    assert len(state) == 0
    assert state.feed(row(), A, NOW) is not None
    # Its baseline is gone with it.
    assert held(state.feed(row(2), A, NOW)) is None


def test_a_transaction_keeps_its_first_trace() -> None:
    state = merger()
    first = state.feed(row(), A, NOW, "00-aa-bb-01")
    second = state.feed(row(size=3), A, NOW, "00-cc-dd-01")
    assert first is not None
    assert second is not None
    assert second.traceparent == first.traceparent == "00-aa-bb-01"
    assert state.traceparent(LEADER, row().tx) == "00-aa-bb-01"
    assert state.traceparent(LEADER, row(2).tx) == ""


# What the leader held before


def held(fact: Fact | None) -> int | None:
    assert fact is not None
    return None if fact.held_before is None else fact.held_before // 1_000_000


def test_without_a_baseline_it_is_unknown() -> None:
    assert held(merger().feed(row(), A, NOW)) is None


def test_more_than_there_can_be_is_unknown_and_still_told() -> None:
    state = merger()
    state.catch_up([], NOW, leader=LEADER, positions={"7": MAX_MICROS, "8": MAX_MICROS})
    least = state.feed(row(0, asset_id="8"), A, NOW)
    bought, sold = state.feed(row(1), A, NOW), state.feed(row(2, side="SELL", size=30), A, NOW)
    assert least is not None
    assert bought is not None
    assert sold is not None
    assert to_event(least, 1).leader_held_before_micros == MAX_MICROS
    assert to_event(bought, 1).leader_held_before_micros == MAX_MICROS
    assert not to_event(sold, 1).HasField("leader_held_before_micros")


def test_the_facts_move_the_baseline() -> None:
    state = merger()
    state.catch_up([], NOW, leader=LEADER, positions={"7": 100_000_000})
    assert held(state.feed(row(1), A, NOW)) == 100
    assert held(state.feed(row(2, side="SELL", size=30), A, NOW)) == 110
    assert held(state.feed(row(3), A, NOW)) == 80
    assert held(state.feed(row(4, asset_id="8"), A, NOW)) == 0


def test_all_rows_of_a_transaction_carry_the_same_value() -> None:
    state = merger()
    state.catch_up([], NOW, leader=LEADER, positions={"7": 100_000_000})
    assert held(state.feed(row(1, side="SELL", size=10), A, NOW)) == 100
    assert held(state.feed(row(1, side="SELL", size=20), A, NOW)) == 100
    assert held(state.feed(row(2, side="SELL", size=1), A, NOW)) == 70


def test_a_repeated_row_moves_nothing_twice() -> None:
    state = merger()
    state.catch_up([], NOW, leader=LEADER, positions={"7": 100_000_000})
    for source in (A, B, (1, "orders_matched")):
        state.feed(row(1), source, NOW)
    state.catch_up([row(1)], NOW)
    assert held(state.feed(row(2), A, NOW)) == 110


def test_what_the_baseline_contains_already_is_not_added_again() -> None:
    state = merger()
    # Positions of 100 already contain a buy of 10 (tx 1) and a sell of 30 (tx 2).
    rows = [
        row(2, side="SELL", size=30, traded_ms=NOW - 1_000),
        row(1, size=10, traded_ms=NOW - 2_000),
    ]
    facts = state.catch_up(rows, NOW, leader=LEADER, positions={"7": 100_000_000})
    assert [(fact.row.tx[-1], held(fact)) for fact in facts] == [("1", 120), ("2", 130)]
    # The feed tells of the second one late: same value, and nothing moves.
    assert held(state.feed(row(2, side="SELL", size=30, traded_ms=NOW - 1_000), A, NOW)) == 130
    assert held(state.feed(row(3, traded_ms=NOW), A, NOW)) == 100


def test_feed_transaction_outside_the_baseline_counts() -> None:
    state = merger()
    assert held(state.feed(row(1, size=10), A, NOW)) is None
    state.catch_up([], NOW, leader=LEADER, positions={"7": 100_000_000}, since_ms=0)
    assert held(state.feed(row(2), A, NOW)) == 110
    # An older one is in the positions, because the answer begins after it.
    other = merger()
    other.feed(row(1, size=10), A, NOW)
    other.catch_up([], NOW, leader=LEADER, positions={"7": 100_000_000}, since_ms=NOW + 60_000)
    assert held(other.feed(row(2), A, NOW)) == 100


def test_a_partly_indexed_transaction_is_counted_once() -> None:
    state = merger()
    state.feed(row(1, size=10), A, NOW)
    state.feed(row(1, size=5), A, NOW)
    # The answer, and so the positions, contain the first row only.
    state.catch_up([row(1, size=10)], NOW, leader=LEADER, positions={"7": 100_000_000})
    assert held(state.feed(row(2), A, NOW)) == 105


def test_forgetting_a_transaction_changes_no_holding() -> None:
    state = merger(keep_ms=1_000)
    state.catch_up([], NOW, leader=LEADER, positions={"7": 100_000_000})
    state.feed(row(1, size=10), A, NOW)
    later = NOW + 10_000
    assert held(state.feed(row(2, traded_ms=later), A, later)) == 110
    assert len(state) == 1
    # A row of the forgotten one comes again: it is told again, and moves nothing.
    assert state.feed(row(1, size=10, traded_ms=NOW), B, later) is not None
    assert held(state.feed(row(3, traded_ms=later), A, later)) == 120


def test_a_holding_is_never_negative() -> None:
    state = merger()
    state.catch_up([], NOW, leader=LEADER, positions={})
    state.feed(row(1, side="SELL", size=10), A, NOW)
    assert held(state.feed(row(2, side="SELL", size=10), A, NOW)) == 0
