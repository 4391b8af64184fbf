"""A limit far off the market does not leave at once; and no exit is kept in by it.

Bookfeed speaks real gRPC here; what is judged is what has come to the far side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import structs

from services.executor.collar import Collar
from services.executor.quotes import Quotes
from tests.money_path.test_submitting_once import Database, database
from tests.money_path.test_submitting_together import Scene, entry, scene, sending, subscribe
from tests.money_path.upstream import Upstream, serving
from tests.money_path.world import eventually
from tests.unit.samples import order
from tradingtools import clock
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Order, Purpose
from tradingtools.rpc import transport
from tradingtools.tasks import cancel_all
from tradingtools.v1 import bookfeed_service_pb2 as books_pb

__all__ = ["database"]
_CENT = 10_000
_LONG_MS = 600_000
"""No test waits for that."""


def buy(name: str, cents: int) -> Order:
    made: Order = structs.replace(entry(name), limit_micros=cents * _CENT)
    return made


def sell(name: str, cents: int, purpose: Purpose = Purpose.GUARD_EXIT) -> Order:
    made: Order = structs.replace(
        buy(name, cents), purpose=purpose, side=Side.SELL, reserved_money_micros=0,
        reserved_shares_micros=order().size_micros,
    )  # fmt: skip
    return made


def _mark(bid: int, ask: int, status: books_pb.BookStatus.ValueType) -> books_pb.Mark:
    return books_pb.Mark(
        asset_id=order().asset_id, status=status, received_ns=clock.now_ns(),
        bid_prices_micros=[bid * _CENT], bid_sizes_micros=[10**9],
        ask_prices_micros=[ask * _CENT], ask_sizes_micros=[10**9],
    )  # fmt: skip


class Books:
    """A book as bookfeed sends it, and as the executor has it."""

    def __init__(self, upstream: Upstream, quotes: Quotes) -> None:
        self._upstream = upstream
        self._quotes = quotes

    async def stand(
        self, bid: int, ask: int, status: books_pb.BookStatus.ValueType = books_pb.BOOK_STATUS_FRESH
    ) -> None:
        """Set the best prices, in cents, and wait until the executor knows them."""
        self._upstream.put_mark(_mark(bid, ask, status))
        fresh = status == books_pb.BOOK_STATUS_FRESH
        expected = (bid * _CENT, ask * _CENT) if fresh else None

        async def known() -> bool:
            return self._quotes.known(order().asset_id) == expected

        await eventually(known)

    async def fall(self, bid: int, ask: int) -> None:
        """Set them where only who asks finds them."""
        self._upstream.put_mark(_mark(bid, ask, books_pb.BOOK_STATUS_FRESH), announce=False)


@asynccontextmanager
async def standing(
    database: Database, database_url: str, *, wait_ms: int
) -> AsyncIterator[tuple[Scene, Books]]:
    """An executor with a collar of fifty cents that sends what is claimed."""
    subscribe(database, version=1)
    async with serving() as upstream:
        channel = transport.channel(f"127.0.0.1:{upstream.port}", newest=True)
        quotes = Quotes(channel)
        keeping = asyncio.create_task(quotes.keep())
        collar = Collar(quotes, 50 * _CENT, wait_ms)
        try:
            async with scene(database, database_url, collar=collar) as here, sending(here):
                yield here, Books(upstream, quotes)
        finally:
            await cancel_all([keeping])
            await channel.close()


async def test_an_entry_far_above_the_market_is_refused_and_says_why(
    database: Database, database_url: str
) -> None:
    async with standing(database, database_url, wait_ms=_LONG_MS) as (here, books):
        await books.stand(38, 40)
        here.claim([buy("sound", 90), buy("wild", 91)])
        await here.ended(2)
        assert here.far.came == [buy("sound", 90).order_key]
        row = database.execute(
            "select reason, detail from order_event where to_state = 'FAILED'"
        ).fetchone()
        assert row == {"reason": "RISK", "detail": b"limit 0.91 > best ask 0.4 + 0.5"}


async def test_exit_far_below_the_market_waits_then_leaves(
    database: Database, database_url: str
) -> None:
    async with standing(database, database_url, wait_ms=700) as (here, books):
        await books.stand(60, 62)
        started = time.monotonic()
        here.claim([sell("wild", 5)])
        here.claim([sell("sound", 20), buy("entry", 62)])
        await here.ended(3)
        assert time.monotonic() - started >= 0.7
        assert here.far.came[-1] == sell("wild", 5).order_key
        assert here.states() == {"SUBMITTED": 3}
        held_ms = [row["ms"] for row in database.execute(
            "select held_ns / 1000000 as ms from orders order by first_byte_ns")]  # fmt: skip
        assert held_ms[:2] == [0, 0]
        assert held_ms[2] >= 690, "what it waited is told apart from what the engine took"
        # The next slices of the same shares have waited with it.
        books_requested = here.far.came.copy()
        here.claim([sell("next", 4)])
        await here.ended(4)
        assert here.far.came == [*books_requested, sell("next", 4).order_key]


async def test_exit_leaves_at_once_when_the_market_fell(
    database: Database, database_url: str
) -> None:
    async with standing(database, database_url, wait_ms=_LONG_MS) as (here, books):
        # What the executor was told last is old, and the stop-loss knows better.
        await books.stand(60, 62)
        await books.fall(20, 22)
        here.claim([sell("crash", 5)])
        await here.ended(1)
        assert here.far.came == [sell("crash", 5).order_key]
        row = database.execute("select held_ns from orders").fetchone()
        assert row == {"held_ns": 0}, "to look closely is the engine's own time"


async def test_an_exit_that_waits_leaves_when_the_market_comes_to_it(
    database: Database, database_url: str
) -> None:
    async with standing(database, database_url, wait_ms=_LONG_MS) as (here, books):
        await books.stand(60, 62)
        here.claim([sell("early", 5)])
        here.claim([buy("entry", 62)])
        await here.ended(1)
        assert here.far.came == [buy("entry", 62).order_key]
        await books.stand(20, 22)
        await here.ended(2)
        assert here.states() == {"SUBMITTED": 2}


async def test_without_a_fresh_book_everything_leaves(
    database: Database, database_url: str
) -> None:
    async with standing(database, database_url, wait_ms=_LONG_MS) as (here, books):
        await books.stand(60, 62)
        await books.stand(60, 62, books_pb.BOOK_STATUS_STALE)
        here.claim([sell("stop", 5), buy("entry", 99)])
        await here.ended(2)
        assert here.states() == {"SUBMITTED": 2}


async def test_orders_waiting_at_a_kill_are_found_by_the_next_executor(
    database: Database, database_url: str
) -> None:
    wild = sell("wild", 5)
    async with standing(database, database_url, wait_ms=_LONG_MS) as (here, books):
        await books.stand(60, 62)
        here.claim([wild])
        here.claim([buy("entry", 62)])
        await here.ended(1)
    async with scene(database, database_url) as later, sending(later):
        polling = asyncio.create_task(later.executor.queue.poll())
        try:
            await later.ended(2)
        finally:
            await cancel_all([polling])
        assert later.far.came == [wild.order_key]
