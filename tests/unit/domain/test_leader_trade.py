"""Facts about a leader trade may come in any order, twice and late; the trade is the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tradingtools.domain.leader_trade import (
    LeaderRow,
    LeaderTrade,
    Side,
    Source,
    TradeKey,
    merge,
)

KEY = TradeKey(leader_tx="0x" + "a" * 64, leader="0x" + "b" * 40, asset_id="1", side=Side.BUY)


def fact(
    source: Source = Source.FEED,
    price: int = 500_000,
    size: int = 10_000_000,
    count: int = 1,
    received_ns: int = 0,
) -> LeaderRow:
    return LeaderRow(
        key=KEY,
        condition_id="0x" + "c" * 64,
        price_text=str(price),
        price_micros=price,
        size_micros=size,
        count=count,
        source=source,
        traded_ms=1_000,
        received_ns=received_ns,
        held_before_micros=None,
    )


def merged(facts: Iterable[LeaderRow]) -> LeaderTrade:
    trade: LeaderTrade | None = None
    for row in facts:
        trade = merge(trade, row) or trade
    assert trade is not None
    return trade


def seen(trade: LeaderTrade) -> tuple[int, int, int]:
    return trade.size_micros, trade.notional_micros, trade.revision


facts = st.lists(
    st.builds(
        fact,
        source=st.sampled_from(Source),
        price=st.sampled_from([1, 333_333, 500_000, 999_999]),
        size=st.sampled_from([1, 3_333_333, 10_000_000]),
        count=st.integers(1, 4),
    ),
    min_size=1,
    max_size=8,
)


@given(facts, st.data())
def test_order_and_repetition_change_nothing(rows: list[LeaderRow], data: st.DataObject) -> None:
    again = data.draw(st.permutations(rows + data.draw(st.lists(st.sampled_from(rows)))))
    assert seen(merged(again)) == seen(merged(rows))


@given(facts)
def test_totals_are_those_of_the_greatest_counts(rows: list[LeaderRow]) -> None:
    # The plain reference: per kind of source the greatest count of each row, then the greater kind.
    totals: dict[Source, tuple[int, int]] = {}
    counted = 0
    for source in Source:
        greatest: dict[tuple[int, int], int] = {}
        for row in rows:
            if row.source is source:
                slot = (row.price_micros, row.size_micros)
                greatest[slot] = max(greatest.get(slot, 0), row.count)
        totals[source] = (
            sum(size * count for (_, size), count in greatest.items()),
            sum(price * size * count for (price, size), count in greatest.items()),
        )
        counted += sum(greatest.values())
    feed, caught_up = totals[Source.FEED], totals[Source.CATCH_UP]
    size, product = feed if feed[0] >= caught_up[0] else caught_up
    assert seen(merged(rows)) == (size, product // 1_000_000, counted)


@given(facts)
def test_a_fact_either_adds_or_is_none(rows: list[LeaderRow]) -> None:
    trade: LeaderTrade | None = None
    for row in rows:
        after = merge(trade, row)
        if after is None:
            assert trade is not None
            assert merge(trade, row) is None
            continue
        if trade is not None:
            assert after.revision > trade.revision
            assert after.size_micros >= trade.size_micros
        trade = after
        assert merge(trade, row) is None


def test_the_same_row_from_two_kinds_of_source_counts_once() -> None:
    trade = merged([fact(Source.FEED), fact(Source.CATCH_UP)])
    assert trade.size_micros == 10_000_000


def test_counts_are_taken_by_their_maximum() -> None:
    assert merged([fact(count=1), fact(count=2), fact(count=1)]).size_micros == 20_000_000


def test_the_greater_total_wins_and_a_tie_goes_to_the_feed() -> None:
    feed = [fact(Source.FEED, price=400_000, size=1_000_000)]
    assert merged([*feed, fact(Source.CATCH_UP, size=2_000_000)]).notional_micros == 1_000_000
    assert merged([fact(Source.CATCH_UP, size=1_000_000), *feed]).notional_micros == 400_000


def test_the_earliest_clock_and_the_latest_arrival_stay() -> None:
    trade = merged(
        [
            replace(fact(received_ns=5), traded_ms=2_000),
            replace(fact(size=1, received_ns=9), traded_ms=1_000),
        ]
    )
    assert (trade.traded_ms, trade.last_row_ns) == (1_000, 9)


def test_what_the_leader_held_may_become_known_later() -> None:
    unknown, known = fact(), replace(fact(size=1), held_before_micros=0)
    assert merged([unknown, known]).held_before_micros == 0
    assert merged([known, unknown]).held_before_micros == 0
