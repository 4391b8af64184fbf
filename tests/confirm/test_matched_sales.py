"""A sale that is matched, not settled: its shares have left the lot, and nobody reserves them."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import replace
from typing import Any, cast

import pytest

from services.confirm.bookings import load_bookings
from services.guard.locked_rows import locked
from services.guard.settings import Settings as GuardSettings
from services.guard.worker import Guard
from services.router import store as router_store
from services.router.core.records import LotView
from services.router.worker import Router
from tests.confirm.conftest import Orders, order_fields, reported, trade
from tests.support import leases
from tests.unit.guard.samples import book_of
from tests.unit.router.test_budget import SETTINGS, buy, no_batches
from tests.unit.samples import book
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order_states import OrderState as S
from tradingtools.domain.venue_order import TradeStatus as T
from tradingtools.rpc.streams import Tail
from tradingtools.settings import load
from tradingtools.venues.insiders.order_body import order_body

LOT, SOLD = 100_000_000, 60_000_000


class Lot:
    """A lot of a subscription, with a stop and an exit under way."""

    def __init__(self, orders: Orders, *, manual: bool) -> None:
        self.orders = orders
        self.origin = "manual" if manual else "sub_" + secrets.token_hex(16)
        self.stop = "trg_" + secrets.token_hex(16)
        self.key = secrets.token_hex(32)

    async def make(self) -> None:
        sql, wallet = self.orders.sql, self.orders.wallet
        await sql(
            "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros,"
            " cost_micros, bought_size_micros) values (%s, '1', %s, '0xc', %s, 50000000, %s)",
            wallet, self.origin, LOT, LOT,
        )  # fmt: skip
        await sql(
            "insert into lot_entry (follower_proxy, asset_id, origin, trade_id, size_micros,"
            " cost_micros) values (%s, '1', %s, 'x', %s, 50000000)",
            wallet, self.origin, LOT,
        )  # fmt: skip
        await sql(
            "insert into trigger (id, follower_proxy, condition_id, asset_id, origin, trigger_type,"
            " price_micros, status, follower_user_id, follower_wallet_id)"
            " values (%s, %s, '0xc', '1', %s, 'STOP_LOSS', 400000, 'ARMED', %s, %s)",
            self.stop, wallet, self.origin, *("u", "w") if self.origin == "manual" else ("", ""),
        )  # fmt: skip
        order = order_fields(self.key, wallet, side="SELL") | {
            "subscription_id": "" if self.origin == "manual" else self.origin,
            "purpose": "GUARD_EXIT",
            "trigger_id": "trg_" + "a" * 32,
            "size_micros": SOLD,
            "reserved_money_micros": 0,
            "reserved_shares_micros": SOLD,
        }
        payload = json.dumps({"orders": [order], "decisions": [], "rows": []}).encode()
        (row,) = await sql(
            "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
            " values ('CLAIMED', 'guard', %s, 0, 1, %s, 1) returning seq",
            self.key, payload,
        )  # fmt: skip
        await sql("select build_rows(%s)", row["seq"])
        await self.orders.move(self.key, (S.SUBMITTING, None), (S.SUBMITTED, None))

    async def sold(self, *trades: tuple[str, T, int], closed: bool) -> None:
        """insiders-api tells of the exit of the guard."""
        made = (trade(name + self.key[:8], status, size) for name, status, size in trades)
        answer = reported(self.key, *made, closed=closed, size=SOLD, side="SELL")
        await self.orders.take(self.key, answer)

    async def follow(self, leader: str) -> None:
        """Have its subscription follow a leader."""
        await self.orders.sql(
            "insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy,"
            " leader, state, version, sizing_mode, sizing_micros, changed_seq)"
            " values (%s, 'u', 'w', %s, %s, 'ACTIVE', 1, 'FIXED', 10000000, 1)",
            self.origin, self.orders.wallet, leader,
        )  # fmt: skip

    async def slices(self) -> list[int]:
        """Of the leader's sell."""
        rows = await self.orders.sql(
            "select size_micros from orders where purpose = 'COPY_EXIT' and subscription_id = %s"
            " order by ordinal",
            self.origin,
        )
        return [int(str(row["size_micros"])) for row in rows]

    async def for_guard(self) -> tuple[int, int]:
        """Shares and those that are free, as the guard's exit finds them under lock."""
        async with locked(self.orders.pool, [self.stop], lambda _: None) as held:
            lot = held.lot(self.stop)
        assert lot is not None
        return lot["shares_micros"], lot["free_micros"]

    async def for_router(self) -> LotView:
        """As a leader's sell finds it."""
        return (await router_store.lots_now(self.orders.pool, "1", [self.origin]))[self.origin]

    async def is_seen_as(self, shares: int, free: int, unsettled: int) -> None:
        assert await self.for_guard() == (shares, free)
        # Nobody else sells of it: what is not free, its one exit is still going to take.
        view = LotView(
            shares_micros=shares,
            free_micros=free,
            unsettled_micros=unsettled,
            leaving_micros=shares - free,
        )
        found = await self.for_router()
        assert replace(found, sales=()) == view
        # All that the exit may sell, booked or not, until it has settled.
        assert sum(sale.filled_micros for sale in found.sales) == shares - free + unsettled


@pytest.mark.parametrize("manual", [False, True])
async def test_what_is_booked_of_a_sale_is_reserved_no_more(orders: Orders, manual: bool) -> None:
    lot = Lot(orders, manual=manual)
    await lot.make()
    await lot.is_seen_as(LOT, LOT - SOLD, 0)
    part = ("a", T.MATCHED, 20_000_000)
    await lot.sold(part, closed=False)
    await lot.is_seen_as(80_000_000, LOT - SOLD, 20_000_000)
    rest = ("b", T.MATCHED, 40_000_000)
    await lot.sold(part, rest, closed=True)
    # The stop of what is left does not wait until the chain has settled.
    await lot.is_seen_as(LOT - SOLD, LOT - SOLD, SOLD)
    # One half fails: its shares are back, and reserved until the sale has ended.
    await lot.sold(("a", T.CONFIRMED, part[2]), ("b", T.FAILED, rest[2]), closed=False)
    await lot.is_seen_as(80_000_000, LOT - SOLD, 20_000_000)
    await lot.sold(("a", T.CONFIRMED, part[2]), ("b", T.FAILED, rest[2]), closed=True)
    await lot.is_seen_as(80_000_000, 80_000_000, 0)


async def test_a_sale_of_more_than_is_left_frees_nothing(orders: Orders) -> None:
    lot = Lot(orders, manual=False)
    await lot.make()
    # A buy was undone: the lot has less than its exit sells.
    await orders.sql(
        "update lot set shares_micros = 10000000, bought_size_micros = 10000000 where origin = %s",
        lot.origin,
    )
    await lot.is_seen_as(10_000_000, 10_000_000 - SOLD, 0)
    await lot.sold(("a", T.MATCHED, SOLD), closed=True)
    await lot.is_seen_as(0, 0, SOLD)
    await lot.sold(("a", T.FAILED, SOLD), closed=False)
    await lot.is_seen_as(10_000_000, 10_000_000 - SOLD, 0)


class Shelf:
    """One book for every asset."""

    async def get(self, asset_id: str, **_: Any) -> Book:
        """Deep, at 0.5."""
        return self.known(asset_id)

    def known(self, _asset_id: str) -> Book:
        """The same."""
        return book()


async def test_a_leaders_sell_follows_a_triggers_sale_that_is_undone(orders: Orders) -> None:
    lot, leader = Lot(orders, manual=False), "0x" + secrets.token_hex(20)
    await lot.make()
    await lot.follow(leader)
    owned = await leases.held(orders.pool, "router")
    router = Router(
        orders.pool, owned, cast(Any, Shelf()), Tail(0, no_batches), SETTINGS, body_of=order_body
    )
    await router.recover()
    (last,) = await orders.sql("select coalesce(max(fill_seq), 0) as seq from booking")

    async def notified_of() -> None:
        for _, fill in await load_bookings(orders.pool, int(str(last["seq"])), 100):
            await router.bookings.on_fill(fill)

    await lot.sold(("a", T.MATCHED, SOLD), closed=True)
    fact = buy(1)
    key = replace(fact.key, side=Side.SELL, leader=leader, asset_id="1")
    await router.on_facts([replace(fact, key=key, size_micros=LOT, held_before_micros=LOT)])
    assert await lot.slices() == [LOT - SOLD]
    await lot.sold(("a", T.FAILED, SOLD), closed=True)
    await notified_of()
    again = asyncio.create_task(router.exits.run())
    for _ in range(600):
        if len(await lot.slices()) > 1:
            break
        await asyncio.sleep(0.05)
    again.cancel()
    assert await lot.slices() == [LOT - SOLD, SOLD]


class Newest:
    """The guard's one book."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def known(self, _asset_id: str) -> Book:
        """The same for every asset."""
        return self._book

    def pending_books(self) -> list[Book]:
        """Nothing comes."""
        return []


async def test_a_stop_sells_what_comes_back_of_a_take_profits_sale(orders: Orders) -> None:
    """It was spent on what was left: whatever came back stood without a stop."""
    lot, low = Lot(orders, manual=False), book_of(((300_000, 1_000_000_000),))
    await lot.make()
    await lot.follow("0x" + secrets.token_hex(20))
    settings = load(
        GuardSettings,
        "guard",
        {f"TT_GUARD_{name}_TARGET": "127.0.0.1:1" for name in ("BOOKFEED", "CONFIRM")},
    )
    owned = await leases.held(orders.pool, "guard")
    pools = {"writing": orders.pool, "peaks": orders.pool}
    guard = Guard(
        orders.pool,
        owned,
        cast(Any, Newest(low)),
        Tail(0, no_batches),
        settings,
        body_of=order_body,
        **pools,
    )
    await guard.recover()
    (last,) = await orders.sql("select coalesce(max(fill_seq), 0) as seq from booking")
    received = int(str(last["seq"]))

    async def notified_of() -> None:
        nonlocal received
        for seq, fill in await load_bookings(orders.pool, received, 100):
            await guard.on_fill(fill)
            received = seq
        await guard.recheck()

    async def exits() -> list[tuple[str, int]]:
        rows = await orders.sql(
            "select order_key, size_micros from orders where trigger_id = %s order by ordinal",
            lot.stop,
        )
        return [(str(row["order_key"]), int(str(row["size_micros"]))) for row in rows]

    await lot.sold(("a", T.MATCHED, SOLD), closed=True)
    await notified_of()
    await guard.on_books([low])
    ((key, size),) = await exits()
    assert size == LOT - SOLD
    await orders.move(key, (S.SUBMITTING, None), (S.SUBMITTED, None))
    done = trade("s" + key[:8], T.CONFIRMED, size)
    await orders.take(key, reported(key, done, size=size, side="SELL"))
    await notified_of()
    await lot.sold(("a", T.FAILED, SOLD), closed=True)
    for _ in range(100):
        await notified_of()
        if len(await exits()) > 1:
            break
        await asyncio.sleep(0.05)
    assert [size for _, size in await exits()] == [LOT - SOLD, SOLD]
