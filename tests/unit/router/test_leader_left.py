"""A leader who sells while entries are under way: what is sold of what they still bring."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from services.router.core.caps import Exposure
from services.router.core.entry_plan import plan_entries
from services.router.core.exit_plan import plan_exits, slice_ended
from services.router.core.ledger import OpenEntry
from services.router.core.records import Awaited, Context, Copy, LotView
from services.router.core.router_state import RouterState
from tests.unit.samples import CONDITION, LEADER, TX, book, subscription
from tradingtools.domain.copy_settings import CopySettings, ExitMode
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, Source, TradeKey, merge
from tradingtools.domain.money import MICROS
from tradingtools.domain.reasons import Reason
from tradingtools.venues.insiders.order_body import order_body

SUB = subscription().id
STEP = 10_000
TRADED_MS = 1_000


def trade(number: int, side: Side, size: int, held: int | None = None) -> LeaderTrade:
    """A leader trade of one row."""
    key = TradeKey(leader_tx=f"{TX[:-2]}{number:02x}", leader=LEADER, asset_id="7", side=side)
    made = merge(
        None,
        LeaderRow(
            key=key, condition_id=CONDITION, price_text="0.5", price_micros=500_000,
            size_micros=size, count=1, source=Source.FEED, traded_ms=TRADED_MS, received_ns=0,
            held_before_micros=held,
        ),
    )  # fmt: skip
    assert made is not None
    return made


def context(**changes: object) -> Context:
    made = Context(
        body_of=order_body,
        book=book(minimum=0), now_ms=TRADED_MS, entry_ttl_ms=1_000, exit_ttl_ms=1_000,
        exposure=lambda _: Exposure(), entry_owner=lambda _: None,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Lot:
    """A lot with its entries, as confirm books them; each sell fills whole, at once."""

    memory: RouterState = field(default_factory=RouterState)
    shares: int = 0
    under_way: dict[str, int] = field(default_factory=dict)
    sells: list[LeaderTrade] = field(default_factory=list)
    settings: CopySettings = field(default_factory=CopySettings)

    def leader_sells(self, part: LeaderTrade) -> None:
        self.sells.append(part)
        self.memory.know(part)
        self.judge(part)

    def judge(self, part: LeaderTrade) -> None:
        entries = tuple(
            Awaited(order_key=key, filled_micros=filled) for key, filled in self.under_way.items()
        )
        view = LotView(
            shares_micros=self.shares, free_micros=self.shares, unresolved=entries
        )  # fmt: skip
        plan = plan_exits(
            part,
            [replace(subscription(), settings=self.settings)],
            self.memory.copies.get(part.key, {}),
            {SUB: self.memory.with_portions(SUB, view)},
            context(),
        )
        for copy in plan.copies.values():
            self.memory.note_copy(part, copy, TRADED_MS)
        for order in plan.orders:
            self.shares -= order.size_micros
            copy = slice_ended(
                self.copy(part), size_micros=order.size_micros, filled_micros=order.size_micros,
                tried=True, ended_ms=TRADED_MS,
            )  # fmt: skip
            self.memory.put_copy(part.key, SUB, copy)

    def entry_ends(self, key: str, filled: int) -> None:
        self.shares += filled - self.under_way.pop(key)
        again = self.memory.entry_ended(SUB, key, filled)
        for part in self.sells:
            if part.key in again:
                self.judge(part)

    def copy(self, part: LeaderTrade) -> Copy:
        return self.memory.copies[part.key][SUB]


@given(
    st.integers(0, 10_000),
    st.integers(0, 5_000),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.integers(1, 100),
)
def test_sell_takes_its_part_of_earlier_buys_only(
    owned: int, filled: int, more: int, later: int, part: int
) -> None:
    lot = Lot(shares=(owned + filled) * STEP, under_way={"before": filled * STEP})
    sell = trade(1, Side.SELL, part, held=100)
    lot.leader_sells(sell)
    lot.under_way["after"] = 0
    lot.entry_ends("after", later * STEP)
    assert lot.copy(sell).reason is Reason.WAITING_FOR_ENTRY
    lot.entry_ends("before", (filled + more) * STEP)
    assert not lot.copy(sell).awaited
    before, everything = owned + filled + more, owned + filled + more + later
    exact = Fraction(before * STEP * part, 100)
    sold = everything * STEP - lot.shares
    # Whole steps, at least the smallest order, and no dust left behind.
    assert exact - STEP <= sold <= max(ceil(exact / STEP) * STEP, 2 * STEP), (sold, exact)


@given(st.integers(0, 9_000), st.integers(5, 9_000), st.integers(1, 99), st.integers(1, 99))
def test_a_second_sell_takes_its_part_of_what_the_first_leaves(
    owned: int, filled: int, first: int, second: int
) -> None:
    lot = Lot(shares=owned * STEP, under_way={"e": 0})
    lot.leader_sells(trade(1, Side.SELL, first, held=100))
    lot.leader_sells(trade(2, Side.SELL, second, held=100))
    lot.entry_ends("e", filled * STEP)
    kept = Fraction((owned + filled) * STEP * (100 - first) * (100 - second), 100 * 100)
    assert abs(lot.shares - kept) <= 5 * STEP


def test_a_leader_who_is_flat_leaves_nothing_to_a_later_sell() -> None:
    lot = Lot(shares=0, under_way={"e": 0})
    gone = trade(1, Side.SELL, 100, held=100)
    lot.leader_sells(gone)
    lot.leader_sells(trade(2, Side.SELL, 100, held=None))
    lot.entry_ends("e", 700 * STEP)
    assert lot.shares == 0
    assert lot.copy(gone).ordered_size_micros == 700 * STEP


def test_who_does_not_follow_sells_waits_for_nothing() -> None:
    lot = Lot(under_way={"e": 0}, settings=CopySettings(exit_mode=ExitMode.NONE))
    sell = trade(1, Side.SELL, 50, held=100)
    lot.leader_sells(sell)
    assert (lot.copy(sell).reason, lot.copy(sell).awaited) == (Reason.EXITS_OFF, ())


def test_an_entry_that_brought_nothing_leaves_nothing_to_sell() -> None:
    lot = Lot(under_way={"e": 0})
    sell = trade(1, Side.SELL, 50, held=100)
    lot.leader_sells(sell)
    lot.entry_ends("e", 0)
    assert lot.copy(sell).reason is Reason.NOTHING_HELD


def test_an_entry_whose_leader_left_is_topped_up_by_no_later_row() -> None:
    memory, buy = RouterState(), trade(1, Side.BUY, 100 * MICROS)
    memory.know(buy)
    plan = plan_entries(buy, [subscription()], {}, context())
    (order,) = plan.orders
    memory.note_copy(buy, plan.copies[SUB], TRADED_MS)
    memory.entry_trade[order.order_key] = buy.key
    memory.ledger.reserve(
        order.order_key,
        OpenEntry(
            subscription_id=SUB, proxy=order.follower.proxy, condition_id=CONDITION,
            asset_id="7", copy_key=order.copy_key, money_micros=1, day=0,
        ),
    )  # fmt: skip
    left = memory.left([order.order_key, "of another partition"])
    assert left[buy.key][SUB].reason is Reason.LEADER_LEFT
    memory.put_copy(buy.key, SUB, left[buy.key][SUB])
    with_known_rows = merge(buy, replace(next(iter(buy.rows.values())), size_micros=900 * MICROS))
    assert with_known_rows is not None
    again = plan_entries(with_known_rows, [subscription()], memory.copies[buy.key], context())
    assert again.orders == ()
    assert again.copies[SUB].reason is Reason.LEADER_LEFT


def test_a_row_that_comes_long_after_the_others_is_not_copied() -> None:
    buy = trade(1, Side.BUY, 10 * MICROS)
    ratio = replace(subscription(), sizing_micros=100 * MICROS)
    first = plan_entries(buy, [ratio], {}, context(quiet_ms=30_000))
    assert len(first.orders) == 1
    skipped = plan_entries(buy, [ratio], {}, context(quiet_ms=30_001))
    copy = skipped.copies[SUB]
    assert (skipped.orders, copy.reason) == ((), Reason.TRADE_CLOSED)
    assert copy.detail == "no row for 30001 ms > 30000 ms"
