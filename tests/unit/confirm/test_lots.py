"""Lots are sold first in, first out, and no micro of cost is made or lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.confirm.core.booking import Action, Step
from services.confirm.core.lots import Consumed, Entry, Holding, consume, move
from tradingtools.domain.venue_order import TradeStatus, VenueTrade

sizes = st.integers(0, 2_000)
lots = st.lists(st.tuples(sizes, st.integers(0, 5_000)), max_size=6).map(
    lambda rows: [Entry(seq, size, cost) for seq, (size, cost) in enumerate(rows)]
)


def apply(entries: list[Entry], taken: Consumed) -> list[Entry]:
    changed = {entry.entry_seq: entry for entry in taken.entries}
    return [changed.get(entry.entry_seq, entry) for entry in entries]


@given(lots, st.integers(0, 8_000))
def test_shares_leave_in_the_order_they_came(entries: list[Entry], size: int) -> None:
    # The plain reference: one micro-share after the other, each with the number of its entry.
    queue = [entry.entry_seq for entry in entries for _ in range(entry.size_micros)]
    sold = queue[:size]
    taken = consume(entries, size)
    assert taken.size_micros == len(sold)
    for before, now in zip(entries, apply(entries, taken), strict=True):
        gone = sold.count(before.entry_seq)
        assert now.size_micros == before.size_micros - gone
        part = before.cost_micros * gone // before.size_micros if gone else 0
        assert now.cost_micros == before.cost_micros - part
    assert {entry.entry_seq for entry in taken.entries} == set(sold)


@given(lots, st.lists(st.integers(0, 3_000), max_size=6))
def test_costs_of_all_sales_and_the_rest_sum_to_the_whole(
    entries: list[Entry], sales: list[int]
) -> None:
    shares = sum(entry.size_micros for entry in entries)
    cost = sum(entry.cost_micros for entry in entries)
    sold = spent = 0
    left = entries
    for size in sales:
        taken = consume(left, size)
        left = apply(left, taken)
        sold, spent = sold + taken.size_micros, spent + taken.cost_micros
        assert sum(entry.size_micros for entry in left) == shares - sold
        assert sum(entry.cost_micros for entry in left) == cost - spent
        assert all(min(entry.size_micros, entry.cost_micros) >= 0 for entry in left)


@given(lots)
def test_selling_everything_takes_the_cost_of_every_share(entries: list[Entry]) -> None:
    shares = sum(entry.size_micros for entry in entries)
    taken = consume(entries, shares)
    assert taken.size_micros == shares
    assert taken.cost_micros == sum(entry.cost_micros for entry in entries if entry.size_micros)


def test_more_than_is_held_sells_what_is_held() -> None:
    taken = consume([Entry(1, 10, 5)], 11)
    assert (taken.size_micros, taken.cost_micros) == (10, 5)


def test_a_buy_that_is_undone_takes_its_own_shares_back() -> None:
    entries = (Entry(1, 10, 4, "a", "t1"), Entry(2, 10, 6, "b", "t2"), Entry(3, 5, 3, "b", "t3"))
    held = Holding(shares_micros=25, cost_micros=13, net_micros=25, entries=entries)
    trade = VenueTrade(
        trade_id="t2", size_micros=10, notional_micros=6, fee_micros=1, status=TradeStatus.FAILED
    )
    undone = move(
        held, Step(Action.UNDO, trade), buying=True, order_key="b", cost_micros=0, entry_seq=-1
    )
    assert undone.holding.entries == (entries[0], entries[2])
    assert (undone.holding.shares_micros, undone.holding.cost_micros) == (15, 7)
    assert (undone.sums["bought_notional"], undone.sums["fee"], undone.sums["realised"]) == (
        -6, -1, 0,
    )  # fmt: skip
