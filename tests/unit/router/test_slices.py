"""Test how many slices a leader's sell becomes while entries end one after the other.

Each end of an entry used to make a slice of its own, however many were under way: 182 exits of a
backlog became 557 orders, which made the backlog longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.router.core.exit_plan import LONGEST_PAUSE_MS, entry_ended, plan_exits, slice_ended
from services.router.core.records import Awaited, Copy, LotView
from services.router.core.router_state import RouterState
from tests.unit.router.test_leader_left import SUB, context, trade
from tests.unit.samples import subscription
from tradingtools.domain.leader_trade import LeaderTrade, Side
from tradingtools.domain.order import Order
from tradingtools.domain.reasons import Reason

SHARE = 1_000_000
STARTED_MS = 1_000_000


@dataclass
class Exit:
    """A sell of everything, judged whenever something has happened; as many entries are awaited."""

    entries: int
    shares: int
    sell: LeaderTrade = field(default_factory=lambda: trade(1, Side.SELL, 100, held=None))
    now_ms: int = STARTED_MS
    copies: dict[str, Copy] = field(default_factory=dict)
    open: list[Order] = field(default_factory=list)
    slices: list[tuple[int, bool, bool]] = field(default_factory=list)
    """When each was claimed, and whether one had sold all of its own, or had ended at all, since
    the one before."""
    freed: bool = False
    ended: bool = False

    @property
    def copy(self) -> Copy:
        return self.copies[SUB]

    def judge(self) -> None:
        reserved = sum(order.size_micros for order in self.open)
        unresolved = tuple(
            Awaited(order_key=f"e{number}", filled_micros=0) for number in range(self.entries)
        )
        lot = LotView(
            shares_micros=self.shares, free_micros=self.shares - reserved, unresolved=unresolved
        )
        plan = plan_exits(
            self.sell, [subscription()], self.copies, {SUB: lot}, context(now_ms=self.now_ms)
        )
        self.copies |= plan.copies
        self.open += plan.orders
        if plan.orders:
            self.slices.append((self.now_ms, self.freed, self.ended))
            self.freed = self.ended = False

    def entry_ends(self, number: int, filled: int) -> None:
        self.shares += filled
        self.copies[SUB] = entry_ended(self.copy, f"e{number}", filled_micros=filled)
        self.judge()

    def slice_ends(self, filled: int) -> None:
        order = self.open.pop(0)
        filled = min(filled, order.size_micros)
        self.shares -= filled
        self.freed, self.ended = self.freed or filled == order.size_micros, True
        self.copies[SUB] = slice_ended(
            self.copy, size_micros=order.size_micros, filled_micros=filled, tried=True,
            ended_ms=self.now_ms,
        )  # fmt: skip
        self.judge()


def test_entries_that_end_during_a_slice_add_few_sales() -> None:
    made = Exit(entries=100, shares=10 * SHARE)
    made.judge()
    for number in range(100):
        made.now_ms += 100
        made.entry_ends(number, SHARE)
    # Ten seconds: at once, and after one, two and four more.
    assert [at - STARTED_MS for at, *_ in made.slices] == [0, 1_000, 3_000, 7_000]
    made.now_ms += LONGEST_PAUSE_MS
    made.judge()
    assert sum(order.size_micros for order in made.open) == 110 * SHARE


def test_shares_that_come_during_a_slice_are_sold_after_it() -> None:
    made = Exit(entries=3, shares=10 * SHARE)
    made.judge()
    for number in range(3):
        made.entry_ends(number, SHARE)
    assert len(made.open) == 1
    assert (made.copy.reason, made.copy.copied) == (Reason.ALREADY_SELLING, True)
    made.slice_ends(10 * SHARE)
    assert [order.size_micros for order in made.open] == [3 * SHARE]


def test_a_sell_of_the_leader_that_grows_waits_for_no_slice() -> None:
    made = Exit(entries=0, shares=10 * SHARE, sell=trade(1, Side.SELL, 40, held=100))
    made.judge()
    made.sell = trade(1, Side.SELL, 70, held=100)
    made.judge()
    assert [order.size_micros for order in made.open] == [4 * SHARE, 3 * SHARE]


def test_thin_books_rest_is_not_sold_sooner_by_an_entry() -> None:
    made = Exit(entries=2, shares=10 * SHARE)
    made.judge()
    made.slice_ends(SHARE)
    made.entry_ends(0, SHARE)
    assert made.open == []
    made.now_ms += 1_000
    made.entry_ends(1, SHARE)
    assert [order.size_micros for order in made.open] == [11 * SHARE]


def test_late_entries_of_an_empty_lot_are_sold_alone() -> None:
    # Three tenths: 30 of 100 are sold, others sell the rest, and more is bought.
    sell = trade(1, Side.SELL, 30, held=100)
    made = Exit(entries=1, shares=100 * SHARE, sell=sell)
    made.judge()
    made.slice_ends(30 * SHARE)
    made.shares = 0
    made.judge()
    made.shares = 50 * SHARE
    made.judge()
    assert made.open == []
    made.entry_ends(0, 100 * SHARE)
    assert [order.size_micros for order in made.open] == [30 * SHARE]


def test_a_clock_that_was_set_back_holds_no_exit_up() -> None:
    made = Exit(entries=1, shares=10 * SHARE)
    made.judge()
    made.now_ms -= 3_600_000
    made.entry_ends(0, SHARE)
    assert len(made.open) == 2


def test_a_sell_is_judged_again_when_its_pause_is_over() -> None:
    memory, sell = RouterState(), trade(1, Side.SELL, 100)
    copy = Copy(frozen=subscription(), copied=True)
    assert memory.judge_exit_in_ms(sell.key, STARTED_MS) is None
    memory.put_copy(sell.key, SUB, structs.replace(copy, rest_until_ms=STARTED_MS + 700))
    assert memory.judge_exit_in_ms(sell.key, STARTED_MS) is None
    waits = structs.replace(copy, reason=Reason.ALREADY_SELLING, rest_until_ms=STARTED_MS + 700)
    memory.put_copy(sell.key, SUB, waits)
    assert memory.judge_exit_in_ms(sell.key, STARTED_MS) == 700
    # What it waits for then is told, or looked for now and then.
    assert memory.judge_exit_in_ms(sell.key, STARTED_MS + 700) == 2_000


events = st.lists(
    st.tuples(st.integers(0, 3_000), st.booleans(), st.integers(0, 40).map(lambda n: n * SHARE)),
    max_size=30,
)


@given(st.integers(0, 20), events)
def test_a_slice_follows_another_only_after_its_end_or_a_pause(
    owned: int, happens: list[tuple[int, bool, int]]
) -> None:
    entries = sum(not ends for _, ends, _ in happens)
    made, came, number = Exit(entries=entries, shares=owned * SHARE), owned * SHARE, 0
    made.judge()
    for wait, slice_ends, amount in happens:
        made.now_ms += wait
        if not slice_ends:
            came += amount
            made.entry_ends(number, amount)
            number += 1
        elif made.open:
            made.slice_ends(amount)
        # Never more than there is, and never what is being sold already.
        assert sum(order.size_micros for order in made.open) <= made.shares
    for at, ((before, *_), (after, freed, ended)) in enumerate(
        zip(made.slices, made.slices[1:], strict=False)
    ):
        first = 250 if ended else 1_000
        assert freed or after - before >= min(first << min(at, 5), LONGEST_PAUSE_MS)
    # Whatever hangs, everything is on sale in the end, but for what is no order.
    made.now_ms += LONGEST_PAUSE_MS
    made.judge()
    assert made.shares - sum(order.size_micros for order in made.open) == 0
