"""A leader sells again while what the sells before it have asked for is still under way.

The measure knows nothing of the router: of each purchase the follower should hold what has come of
it, times the part that the leader has kept in each sell since; what is under way counts as sold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from services.router.worker import Router
from tests.unit.router.test_budget import SUB, WALLET, Shelf, buy, recovered, subscribe
from tests.unit.router.test_exits_caught_up import position
from tests.unit.router.test_halted import halted, reducing
from tests.unit.samples import book
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderRow, Side
from tradingtools.storage.postgres import journal
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_HELD = 100_000_000
_STEP = 10_000
_MINIMUM = 5_000_000


class Coarse(Shelf):
    """Books of markets that take no order below five shares."""

    def known(self, _asset_id: str) -> Book:
        """The usual one."""
        return book()


@dataclass
class Sell:
    """Of the leader: what he held, and what he has sold of it so far."""

    row: LeaderRow
    held: int
    sold: int


@dataclass
class Buy:
    """An entry: how many sells of the leader came before it, and what has come of it."""

    order_key: str
    sells_before: int
    filled: int = 0
    ended: bool = False


@dataclass
class Follower:
    """A follower of 100 shares whose slices end when and how the test says."""

    router: Router
    database: MemoryDatabase
    leader_holds: int = _HELD
    sells: list[Sell] = field(default_factory=list)
    buys: list[Buy] = field(default_factory=lambda: [Buy("", 0, _HELD)])
    untold: list[confirm_pb.FillEvent] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    """Triggers' sales that have not ended."""
    causes: int = 0
    minimum: int = 0

    @classmethod
    async def started(cls, minimum: int = 0) -> Follower:
        database = MemoryDatabase()
        database.write(subscribe)
        database.write(position)
        made = cls(await recovered(database), database, minimum=minimum)
        await made.begins_again()
        return made

    @property
    def ideal(self) -> Fraction:
        """Return what the follower should hold by now."""
        kept = [1 - Fraction(sell.sold, sell.held) for sell in self.sells]
        return sum(
            (Fraction(buy.filled) * prod(kept[buy.sells_before :]) for buy in self.buys),
            Fraction(0),
        )

    async def leader_sells(self, sold: int) -> None:
        """Of what he still holds, in a transaction of its own."""
        fact = buy(2 + len(self.sells))
        sold = min(sold, self.leader_holds)
        key = replace(fact.key, side=Side.SELL)
        row = replace(fact, key=key, size_micros=sold, held_before_micros=self.leader_holds)
        self.sells.append(Sell(row, self.leader_holds, sold))
        self.leader_holds -= sold
        await self.router.on_facts([row])
        self.check()

    async def more_is_told(self, sell: Sell, more: int) -> None:
        """One more row of a transaction that was told before."""
        more = min(more, self.leader_holds)
        sell.sold += more
        self.leader_holds -= more
        price = 400_000 + sell.sold % 50_000
        text = f"0.{price}"
        row = replace(sell.row, price_text=text, price_micros=price, size_micros=more)
        await self.router.on_facts([row])
        self.check()

    async def buys_more(self) -> None:
        """An entry is on its way."""
        number = len(self.buys)
        await self.router.on_facts([buy(100 + number)])
        await journal.build_open_rows(self.router._pool, 0, older_than_seconds=None)
        rows = self.database.table("orders").values()
        new = [row for row in rows if row["purpose"] == "ENTRY" and row["state"] == "CLAIMED"]

        def sent(tx: Transaction) -> None:
            for row in new:
                tx.update("orders", row, state="SUBMITTED")

        self.database.write(sent)
        self.buys += [Buy(row["order_key"], len(self.sells)) for row in new]

    async def buy_fills(self, bought: Buy, filled: int, *, ended: bool) -> None:
        """So much of an entry is filled in all."""
        more, bought.filled, bought.ended = filled - bought.filled, filled, ended

        def booked(tx: Transaction) -> None:
            order = tx.get("orders", bought.order_key) or {}
            (lot,) = tx.rows("lot")
            tx.update("orders", order, state="SUBMITTED", filled_size_micros=filled)
            tx.update("lot", lot, shares_micros=lot["shares_micros"] + more)
            tx.insert("lot_entry", {
                "follower_proxy": WALLET, "asset_id": "7", "origin": SUB, "size_micros": more,
                "order_key": bought.order_key, "trade_id": f"{filled}", "cost_micros": 1,
            })  # fmt: skip

        self.database.write(booked)
        if ended:
            await self._closed(bought.order_key, filled, common.ORDER_PURPOSE_ENTRY, reported=True)
        self.check()

    def orders(self) -> list[dict[str, Any]]:
        rows = self.database.table("orders").values()
        slices = (row for row in rows if row["purpose"] == "COPY_EXIT")
        return sorted(slices, key=lambda row: row["journal_seq"])

    def open(self) -> list[str]:
        table = self.database.table("reservation")
        keys = [str(row["order_key"]) for row in self.orders()]
        return [key for key in keys if table[key,]["released_at"] is None]

    def stop_sells(self) -> None:
        """A trigger's sale claims all that no exit is selling."""
        free, number = self.holds() - self.under_way(), len(self.database.table("orders"))
        if free <= 0 or self.stops:
            return
        values = {
            "follower_proxy": WALLET, "condition_id": "0xc0", "asset_id": "7",
            "subscription_id": SUB, "order_key": f"stop-{number}",
        }  # fmt: skip

        def claimed(tx: Transaction) -> None:
            tx.insert("orders", {
                **values, "copy_key": f"stop-{number}", "ordinal": 0, "purpose": "GUARD_EXIT",
                "subscription_version": 1, "follower_user_id": "u", "follower_wallet_id": "w",
                "partition": 0, "side": "SELL", "size_micros": free, "limit_micros": 10_000,
                "time_in_force": "FAK", "not_after_ms": 0, "body": b"", "body_hash": "",
                "journal_seq": 10**6 + number, "control_seq": 0, "state": "SUBMITTED",
                "chain_head": b"",
            })  # fmt: skip
            tx.insert("reservation", {**values, "money_micros": 0, "shares_micros": free})

        self.database.write(claimed)
        self.stops.append(f"stop-{number}")

    async def stop_fails(self) -> None:
        """The venue has killed it: all that it was to sell is free again."""
        for key in self.stops:
            await self._closed(key, 0, common.ORDER_PURPOSE_GUARD_EXIT, reported=True)
        self.stops.clear()
        self.check()

    def holds(self) -> int:
        (lot,) = self.database.table("lot").values()
        return int(lot["shares_micros"])

    def under_way(self) -> int:
        table = self.database.table("orders")
        return sum(
            table[key,]["size_micros"] - table[key,]["filled_size_micros"] for key in self.open()
        )

    def fills(self, order_key: str, filled: int) -> int:
        """So much of an open slice is filled in all; fewer than before: some was undone."""

        def booked(tx: Transaction) -> None:
            order = tx.get("orders", order_key) or {}
            (lot,) = tx.rows("lot")
            more = filled - order["filled_size_micros"]
            tx.update("orders", order, state="SUBMITTED", filled_size_micros=filled)
            left = lot["shares_micros"] - more
            tx.update("lot", lot, shares_micros=left)
            # The oldest shares go first.
            for row in sorted(tx.rows("lot_entry"), key=lambda row: -row["entry_seq"]):
                kept = min(row["size_micros"], left)
                left -= kept
                tx.update("lot_entry", row, size_micros=kept)
            if more < 0:
                # What was sold of is not known any more: it comes back as an entry of its own.
                tx.insert("lot_entry", {
                    "follower_proxy": WALLET, "asset_id": "7", "origin": SUB, "size_micros": -more,
                    "order_key": order_key, "trade_id": f"{filled}:undone", "cost_micros": 1,
                })  # fmt: skip

        self.database.write(booked)
        self.check()
        return filled

    async def ends(self, order_key: str, filled: int, *, reported: bool = True) -> None:
        """An open slice has ended with so much filled; whether the router hears of it now."""
        self.fills(order_key, filled)
        await self._closed(order_key, filled, common.ORDER_PURPOSE_COPY_EXIT, reported=reported)

    async def _closed(
        self, order_key: str, filled: int, purpose: common.OrderPurpose.ValueType, *, reported: bool
    ) -> None:
        state, kind = ("CONFIRMED", None) if filled else ("FAILED", "KILLED")

        def booked(tx: Transaction) -> None:
            order, held = tx.get("orders", order_key) or {}, tx.get("reservation", order_key) or {}
            tx.update("orders", order, state=state, failed_kind=kind)
            tx.update("reservation", held, released_at=tx.now)

        self.database.write(booked)
        row = self.database.table("orders")[order_key,]
        event = confirm_pb.FillEvent(
            kind=confirm_pb.FILL_KIND_CLOSED, subscription_id=SUB, follower_proxy=WALLET,
            asset_id="7", order_key=order_key, order_size_micros=row["size_micros"],
            order_filled_micros=filled, purpose=purpose,
            order_state=common.OrderState.Value(f"ORDER_STATE_{state}"),
        )  # fmt: skip
        if reported:
            await self.router.bookings.on_fill(event)
        else:
            self.untold.append(event)

    async def hears(self) -> None:
        """Return what it was not told of before."""
        for event in self.untold:
            await self.router.bookings.on_fill(event)
        self.untold.clear()

    async def begins_again(self) -> None:
        self.router = await recovered(self.database)
        if self.minimum:
            self.router._books = cast(Any, Coarse())

    async def judges(self, number: int) -> None:
        """One of the sells once more, its pause being over."""
        memory, key = self.router._state, self.sells[number].row.key
        copies = memory.copies.get(key, {})
        if SUB not in copies or key not in memory.open_exits:
            return
        memory.put_copy(key, SUB, structs.replace(copies[SUB], rest_until_ms=0))
        self.causes += 1
        await self.router._route(memory.trades[key], f"again-{self.causes}")
        self.check()

    async def comes_to_rest(self) -> None:
        """All that is under way is sold, and all that is left is sold again."""
        for bought in self.buys[1:]:
            if not bought.ended:
                size = int(self.database.table("orders")[bought.order_key,]["size_micros"])
                await self.buy_fills(bought, size, ended=True)
        await self.stop_fails()
        for _ in range(6):
            await self.hears()
            for key in self.open():
                await self.ends(key, int(self.database.table("orders")[key,]["size_micros"]))
            for number in range(len(self.sells)):
                await self.judges(number)

    def check(self) -> None:
        """Never more is sold, or being sold, than the leader has sold of his."""
        left = self.holds() - self.under_way()
        assert left >= self.ideal - self.rounding, (left, float(self.ideal))

    def check_at_rest(self) -> None:
        self.check()
        assert not self.open()
        if self.ideal:
            # What is too small waits, and so does what would leave too little.
            assert self.holds() <= self.ideal + self.rounding + self.minimum
        else:
            assert self.holds() < max(self.minimum, self.rounding)

    @property
    def rounding(self) -> int:
        """A step for each sell and the last slice."""
        return _STEP * (len(self.sells) + 1)


async def test_three_sells_of_half_of_the_rest_leave_an_eighth() -> None:
    follower = await Follower.started()
    for _ in range(3):
        await follower.leader_sells(follower.leader_holds // 2)
    await follower.comes_to_rest()
    assert abs(follower.holds() - _HELD // 8) <= 3 * _STEP


async def test_a_slice_that_is_killed_is_sold_again_by_its_own_exit() -> None:
    follower = await Follower.started()
    await follower.leader_sells(_HELD // 2)
    (first,) = follower.open()
    await follower.ends(first, 0)
    await follower.leader_sells(follower.leader_holds // 2)
    await follower.judges(0)
    sizes = [row["size_micros"] for row in follower.orders()]
    assert sizes == [_HELD // 2, _HELD // 4, _HELD // 2]


async def test_slice_under_way_keeps_its_shares_from_later_sells() -> None:
    follower = await Follower.started()
    await follower.leader_sells(_HELD // 20)
    await follower.buys_more()
    bought = follower.buys[1]
    size = int(follower.database.table("orders")[bought.order_key,]["size_micros"])
    await follower.buy_fills(bought, size, ended=True)
    # More than was held before the entry, while the slice of the first sell hangs.
    await follower.leader_sells(follower.leader_holds * 19 // 20)
    hangs, second = follower.open()
    sold = int(follower.database.table("orders")[second,]["size_micros"])
    assert sold > _HELD
    await follower.ends(second, sold)
    await follower.leader_sells(follower.leader_holds // 2)
    assert hangs in follower.open()
    await follower.comes_to_rest()
    follower.check_at_rest()


async def test_undone_shares_belong_to_no_empty_sell() -> None:
    follower = await Follower.started()
    await follower.leader_sells(_HELD // 20)
    (killed,) = follower.open()
    await follower.ends(killed, 0)
    await follower.buys_more()
    bought = follower.buys[1]
    size = int(follower.database.table("orders")[bought.order_key,]["size_micros"])
    await follower.buy_fills(bought, size, ended=True)
    # All that was held before the entry, and more: nothing is left of it for the first sell.
    await follower.leader_sells(follower.leader_holds * 19 // 20)
    (second,) = follower.open()
    sold = int(follower.database.table("orders")[second,]["size_micros"])
    assert sold > _HELD
    follower.fills(second, sold)
    await follower.leader_sells(follower.leader_holds // 2)
    # Its settlement fails.
    await follower.ends(second, sold - _HELD // 10)
    await follower.comes_to_rest()
    # The second sell has sold what the first one was to sell, which sells less.
    follower.check()


async def test_what_a_stop_did_not_sell_is_of_earlier_sells_first() -> None:
    follower = await Follower.started()
    await follower.leader_sells(_HELD // 2)
    (first,) = follower.open()
    await follower.ends(first, 0)
    follower.stop_sells()
    await follower.leader_sells(_HELD // 4)
    await follower.comes_to_rest()
    assert follower.holds() == _HELD // 4


async def test_sells_under_one_halt_share_the_lot() -> None:
    """Ten to fifty per cent in five pieces."""
    follower = await Follower.started()
    follower.database.write(halted)
    await follower.router.refresh_index()
    for _ in range(5):
        await follower.leader_sells(_HELD // 10)
    assert follower.orders() == []
    follower.database.write(reducing)
    await follower.router.refresh_index()
    for number in range(5):
        await follower.judges(number)
    await follower.comes_to_rest()
    follower.check_at_rest()
    assert abs(follower.holds() - _HELD // 2) <= 5 * _STEP


async def test_leaving_whole_leaves_nothing_of_a_killed_slice() -> None:
    follower = await Follower.started(_MINIMUM)
    await follower.leader_sells(_HELD // 2)
    (first,) = follower.open()
    await follower.ends(first, _MINIMUM)
    await follower.leader_sells(_HELD // 2)
    await follower.comes_to_rest()
    assert follower.holds() == 0


@pytest.mark.parametrize("sells", [1, 5, 20, 37])
async def test_small_sells_add_up_until_they_can_be_sold(sells: int) -> None:
    follower = await Follower.started(_MINIMUM)
    for number in range(sells):
        await follower.leader_sells(follower.leader_holds // 90)
        for key in follower.open():
            await follower.ends(key, int(follower.database.table("orders")[key,]["size_micros"]))
        if number % 3 == 0:
            await follower.begins_again()
    follower.check_at_rest()
    assert min((row["size_micros"] for row in follower.orders()), default=_MINIMUM) >= _MINIMUM
    # Then he leaves, and so does all that is left.
    await follower.leader_sells(follower.leader_holds)
    await follower.comes_to_rest()
    assert follower.holds() == 0


async def test_small_remainders_are_void_once_the_lot_is_sold() -> None:
    follower = await Follower.started(_MINIMUM)
    await follower.leader_sells(_HELD // 25)

    def emptied(tx: Transaction) -> None:
        (lot,) = tx.rows("lot")
        tx.update("lot", lot, shares_micros=0)

    follower.database.write(emptied)
    follower.buys[0].filled = 0
    await follower.buys_more()
    await follower.buy_fills(follower.buys[1], 19 * 10**6, ended=True)
    follower.leader_holds = _HELD
    await follower.leader_sells(_HELD // 2)
    await follower.comes_to_rest()
    assert follower.holds() == 19 * 10**6 // 2


_ACTION = st.one_of(
    *(
        st.tuples(st.just("sell"), st.integers(1, 100)),
        st.tuples(st.just("fill"), st.integers(0, 100)),
        st.tuples(st.just("end"), st.integers(0, 100)),
        st.tuples(st.just("end untold"), st.integers(0, 100)),
        st.tuples(st.just("hear"), st.just(0)),
        st.tuples(st.just("judge"), st.integers(0, 9)),
        st.tuples(st.just("more is told"), st.integers(1, 100)),
        st.tuples(st.just("begin again"), st.just(0)),
    )
)  # fmt: skip


_BUYING = st.lists(
    st.one_of(
        _ACTION,
        st.tuples(st.just("buy"), st.just(0)),
        st.tuples(st.just("buy fills"), st.integers(0, 100)),
        st.tuples(st.just("buy ends"), st.integers(0, 100)),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 100), st.lists(_ACTION, max_size=20))
def test_late_and_repeated_fills_end_at_the_leaders_share(
    first: int, actions: Sequence[tuple[str, int]]
) -> None:
    asyncio.run(_any_schedule([("sell", first), *actions]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(_ACTION, max_size=20))
def test_nor_is_it_another_where_small_sells_have_to_add_up(
    actions: Sequence[tuple[str, int]],
) -> None:
    asyncio.run(_any_schedule(actions, minimum=_MINIMUM))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(_BUYING)
def test_nor_is_more_sold_while_the_follower_buys(actions: Sequence[tuple[str, int]]) -> None:
    # An exit that pauses while later shares are sold sells less: they go oldest first.
    asyncio.run(_any_schedule(actions, less=True))


@settings(max_examples=250, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(
            _ACTION,
            st.tuples(st.just("stop"), st.just(0)),
            st.tuples(st.just("stop fails"), st.just(0)),
        ),
        max_size=25,
    )
)
def test_nor_is_more_sold_where_stops_sell_in_vain(actions: Sequence[tuple[str, int]]) -> None:
    # Rows that are told after a stop's claim have no part of what it leaves: that sells less.
    asyncio.run(_any_schedule(actions, less=any(what == "more is told" for what, _ in actions)))


async def _any_schedule(
    actions: Sequence[tuple[str, int]], *, less: bool = False, minimum: int = 0
) -> None:
    follower = await Follower.started(minimum)
    for what, number in actions:
        await _happens(follower, what, number)
    await follower.comes_to_rest()
    if less:
        follower.check()
    else:
        follower.check_at_rest()


async def _happens(follower: Follower, what: str, number: int) -> None:
    under_way, buys = follower.open(), [bought for bought in follower.buys if not bought.ended]
    if what == "sell" and follower.leader_holds:
        await follower.leader_sells(max(1, follower.leader_holds * number // 100))
    elif what == "more is told" and follower.leader_holds and follower.sells:
        more = max(1, follower.leader_holds * number // 100)
        await follower.more_is_told(follower.sells[number % len(follower.sells)], more)
    elif what in ("fill", "end", "end untold") and under_way:
        key = under_way[number % len(under_way)]
        size = int(follower.database.table("orders")[key,]["size_micros"])
        filled = size * number // 100
        if what == "fill":
            follower.fills(key, filled)
        else:
            await follower.ends(key, filled, reported=what == "end")
    elif what == "buy":
        await follower.buys_more()
    elif what in ("buy fills", "buy ends") and buys[1:]:
        bought = buys[1 + number % len(buys[1:])]
        size = int(follower.database.table("orders")[bought.order_key,]["size_micros"])
        filled = max(size * number // 100, bought.filled)
        await follower.buy_fills(bought, filled, ended=what == "buy ends")
    elif what == "judge" and number < len(follower.sells):
        await follower.judges(number)
    else:
        await _happens_beside(follower, what)


async def _happens_beside(follower: Follower, what: str) -> None:
    if what == "stop":
        follower.stop_sells()
    elif what == "stop fails":
        await follower.stop_fails()
    elif what == "hear":
        await follower.hears()
    elif what == "begin again":
        await follower.begins_again()
