"""Test that what is bought after a stop has sold out is a new position, which its own triggers
sell.

The stop's sale may take a while to settle on the chain, and may be undone.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from services.confirm.bookings import load_bookings
from services.guard.settings import Settings
from services.guard.worker import Guard
from tests.confirm.conftest import Orders, reported, trade
from tests.confirm.test_positions import Lot
from tests.support import leases
from tests.unit.guard.samples import book_of
from tests.unit.router.test_budget import no_batches
from tradingtools.domain.book import Book
from tradingtools.domain.order_states import OrderState as S
from tradingtools.domain.venue_order import TradeStatus as T
from tradingtools.rpc.streams import Tail
from tradingtools.settings import load
from tradingtools.venues.insiders.order_body import order_body

SHARE = 1_000_000
SETTINGS = load(
    Settings,
    "guard",
    {f"TT_GUARD_{name}_TARGET": "127.0.0.1:1" for name in ("BOOKFEED", "CONFIRM")},
)


def bid(cents: int) -> Book:
    """A deep one."""
    return book_of(((cents * 10_000, 1_000 * SHARE),))


class Watch:
    """A guard, its only book, and what becomes of the exits of a wallet."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._book = bid(40)
        self._received = 0

    def known(self, _asset_id: str) -> Book:
        return self._book

    def pending_books(self) -> list[Book]:
        return []

    async def begin(self) -> None:
        pool = self._orders.pool
        owned = await leases.held(pool, "guard")
        self._guard = Guard(
            pool,
            owned,
            cast(Any, self),
            Tail(0, no_batches),
            SETTINGS,
            writing=pool,
            peaks=pool,
            body_of=order_body,
        )
        await self._guard.recover()

    async def meet(self, book: Book) -> None:
        self._book = book
        await self._guard.on_books([book])

    async def notified_of(self) -> None:
        """Return what was booked, and whatever is due then: longer than the pause between two
        slices."""
        for _ in range(8):
            for seq, fill in await load_bookings(self._orders.pool, self._received, 100):
                if fill.follower_proxy == self._orders.wallet:
                    await self._guard.on_fill(fill)
                self._received = seq
            await self._guard.recheck()
            await asyncio.sleep(0.05)

    async def exits(self) -> list[tuple[str, int]]:
        """Keys and shares of the guard's orders."""
        rows = await self._orders.sql(
            "select order_key, size_micros from orders where purpose = 'GUARD_EXIT'"
            " and follower_proxy = %s order by created_at",
            self._orders.wallet,
        )
        return [(str(row["order_key"]), int(str(row["size_micros"])) // SHARE) for row in rows]

    async def sells(self, shares: int) -> None:
        """The newest exit sells so many, settled at once, and ends."""
        key, _ = (await self.exits())[-1]
        await self._orders.move(key, (S.SUBMITTING, None), (S.SUBMITTED, None))
        sold = trade(key[:8], T.CONFIRMED, shares * SHARE)
        await self._orders.take(key, reported(key, sold, side="SELL"))

    async def stops(self) -> list[object]:
        """Where the stops stand, the oldest first."""
        rows = await self._orders.sql(
            "select status from trigger where follower_proxy = %s and trigger_type = 'STOP_LOSS'"
            " order by created_at",
            self._orders.wallet,
        )
        return [row["status"] for row in rows]


@pytest.mark.parametrize("end", [T.CONFIRMED, T.FAILED])
@pytest.mark.parametrize("left", [0, 1])
async def test_unsettled_exit_sells_nothing_of_the_next_position(
    orders: Orders, end: T, left: int
) -> None:
    lot, watch = Lot(orders), Watch(orders)
    await lot.subscribe()
    await lot.buy((10, 40))
    await watch.begin()
    await watch.meet(bid(30))
    ((key, size),) = await watch.exits()
    assert size == 10
    await orders.move(key, (S.SUBMITTING, None), (S.SUBMITTED, None))
    sold = (10 - left) * SHARE
    await orders.take(key, reported(key, trade(key[:8], T.MATCHED, sold), side="SELL"))
    await watch.notified_of()
    await lot.buy((10, 28))
    assert await lot.stops() == [36, 25]
    await watch.notified_of()
    await orders.take(key, reported(key, trade(key[:8], end, sold), side="SELL"))
    await watch.notified_of()
    assert await watch.exits() == [(key, 10)]
    assert await watch.stops() == ["DONE", "ARMED"]
    # What is there is sold by its own stop, with what has come back of the sale.
    await watch.meet(bid(15))
    held = 10 + left + (10 - left if end is T.FAILED else 0)
    assert [size for _, size in await watch.exits()] == [10, held]


async def test_stop_sells_its_whole_position_after_a_clock_step_back(orders: Orders) -> None:
    """The position before it is over; that its triggers seem to be younger must end nothing."""
    lot, watch = Lot(orders), Watch(orders)
    await lot.subscribe()
    await lot.buy((10, 40))
    await watch.begin()
    await watch.meet(bid(30))
    await watch.sells(10)
    await watch.notified_of()
    await orders.sql(
        "update trigger set created_at = created_at + interval '10 minutes'"
        " where follower_proxy = %s",
        orders.wallet,
    )
    await lot.buy((10, 28))
    await watch.notified_of()
    await watch.meet(bid(20))
    await watch.sells(2)
    await watch.notified_of()
    assert [size for _, size in await watch.exits()] == [10, 10, 8]


async def test_the_next_slice_of_a_stop_is_its_own_positions(orders: Orders) -> None:
    """Test what stands beside it of a position that is over."""
    lot, watch = Lot(orders), Watch(orders)
    await lot.subscribe()
    await lot.buy((10, 40))
    await watch.begin()
    await watch.meet(bid(30))
    ((key, _),) = await watch.exits()
    await orders.move(key, (S.SUBMITTING, None), (S.SUBMITTED, None))
    await orders.take(key, reported(key, trade(key[:8], T.MATCHED, 10 * SHARE), side="SELL"))
    await watch.notified_of()
    await lot.buy((10, 28))
    await watch.notified_of()
    # The first one's sale is not settled: it is live, and older.
    await watch.meet(bid(20))
    await watch.sells(2)
    await watch.notified_of()
    assert [size for _, size in await watch.exits()] == [10, 10, 8]


async def test_stop_continues_when_the_new_position_has_none(orders: Orders) -> None:
    lot, watch = Lot(orders), Watch(orders)
    await lot.subscribe()
    await lot.buy((10, 40))
    await watch.begin()
    await watch.meet(bid(30))
    ((key, _),) = await watch.exits()
    await orders.move(key, (S.SUBMITTING, None), (S.SUBMITTED, None))
    await orders.take(key, reported(key, trade(key[:8], T.MATCHED, 10 * SHARE), side="SELL"))
    await watch.notified_of()
    await orders.sql(
        "update subscription set triggers = %s where follower_proxy = %s",
        '{"take_profit_ppm": 500000}', orders.wallet,
    )  # fmt: skip
    await lot.buy((10, 28))
    await watch.notified_of()
    await orders.take(key, reported(key, trade(key[:8], T.FAILED, 10 * SHARE), side="SELL"))
    await watch.notified_of()
    await watch.meet(bid(5))
    assert sum(size for _, size in await watch.exits()) == 10 + 20


async def test_more_of_a_position_that_is_being_sold_is_sold_with_it(orders: Orders) -> None:
    """It has no other stop: the position has not ended."""
    lot, watch = Lot(orders), Watch(orders)
    await lot.subscribe()
    await lot.buy((10, 40))
    await watch.begin()
    await watch.meet(bid(30))
    ((key, _),) = await watch.exits()
    await orders.move(key, (S.SUBMITTING, None), (S.SUBMITTED, None))
    await orders.take(key, reported(key, trade(key[:8], T.MATCHED, 4 * SHARE), side="SELL"))
    await lot.buy((10, 28))
    assert await lot.stops() == [36]
    await orders.take(key, reported(key, trade(key[:8], T.CONFIRMED, 4 * SHARE), side="SELL"))
    await watch.notified_of()
    assert [size for _, size in await watch.exits()] == [10, 16]
