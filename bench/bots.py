"""Bots beside the same path with nothing in it, a permit beside a bare commit: `make bench-bots`.

A real engine on a PostgreSQL of its own; in the place of OKX an exchange in this process: each
request is encoded, signed and written to a socket. Measured in one run, in turns: from a book to
the first byte, with and without a bot between; a permit, and a bare commit; and what part of a
core many quoting bots take at a book a second each. Exit status: 0; 1 when a goal is missed; 2 for
a wrong command line.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal

import psycopg
from psycopg.types.json import Jsonb

from bench.core.figures import Spread, spread
from launcher import temporary
from services.bots.core.permit import Permit
from services.bots.core.requests import PermitRequest
from services.bots.engine import Engine, Terms
from services.bots.leases.store import Leases
from services.bots.store import Row, Store, WalletLease
from services.bots.wallet_run import Venue
from tradingtools import clock
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.storage.postgres.migrate import migrate
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.tasks import run_in_background
from tradingtools.venues.okx import requests, signing
from tradingtools.venues.okx.venue_clock import timestamp
from tradingtools.venues.ports import Meaning, Side
from tradingtools.venues.trading import (
    AccountEvent,
    AccountState,
    AmendOrder,
    CancelOrder,
    Connected,
    Fill,
    FundingPayment,
    MarketEvent,
    NewOrder,
    OrderReport,
    OrderStatus,
    Receipt,
    TradingBook,
    TradingCapabilities,
)

PATH_GOAL, PERMIT_GOAL = 3.0, 2.0
_WARM_UP = 20
_LEASE_MS = 60_000
_TERMS = requests.Terms(tag="bench")
_ABLE = TradingCapabilities(
    resting=True, amend=True, post_only=True, not_after=True, unique_order_id=False,
    order_id_known_before=False, found_for_ms=7_200_000,
)  # fmt: skip
_SWAP = Instrument(
    id="okx:BTC-USDT-SWAP", kind=InstrumentKind.SWAP, base="BTC", quote="USDT", settle="USDT",
    price_digits=1, size_digits=2, money_digits=8, tick_size=1, lot_size=1, minimum_size=1,
    contract=Decimal("0.01"), inverse=False,
)  # fmt: skip
_CONFIG = {
    "instrument_id": _SWAP.id, "order_size": 100, "max_position": 500, "risk_aversion": 0.01,
    "arrival_decay": 0.05, "max_half_spread": 50,
}  # fmt: skip


def book(number: int) -> TradingBook:
    """Return a book whose middle moves from one to the next."""
    bid = 640_000 + 40 * (number % 2)
    bids, asks = [(bid - step, 900) for step in range(5)], [(bid + 10 + s, 900) for s in range(5)]
    return TradingBook(
        instrument_id=_SWAP.id, status=BookStatus.FRESH, bids=bids, asks=asks,
        venue_ms=clock.now_ms(),
    )  # fmt: skip


@dataclass
class Exchange:
    """Takes every order; tells what it did as a private socket does."""

    writer: asyncio.StreamWriter
    events_: asyncio.Queue[AccountEvent] = field(default_factory=asyncio.Queue)
    books: asyncio.Queue[TradingBook] = field(default_factory=asyncio.Queue)
    orders: dict[str, OrderReport] = field(default_factory=dict)
    first_ns: int = 0
    """When the first request after the last book left."""
    sent: int = 0
    shown: int = 0

    def next_book(self) -> TradingBook:
        """Return a book that differs from the one before."""
        self.shown += 1
        return book(self.shown)

    @property
    def capabilities(self) -> TradingCapabilities:
        return _ABLE

    def register_order(self, _order: NewOrder) -> str:
        return ""

    def _leave(self, requested: requests.RestRequest) -> Receipt:
        at = timestamp(clock.now_ms())
        text = signing.prehash(
            timestamp=at, method=requested.method, path=requested.path, body=requested.body.decode()
        )
        self.writer.write(hmac.digest(b"secret", text.encode(), "sha256") + requested.body)
        self.first_ns = self.first_ns or time.perf_counter_ns()
        self.sent += 1
        return Receipt(meaning=Meaning.ACCEPTED)

    def _reported(self, report: OrderReport) -> None:
        self.orders[report.order_id] = report
        self.events_.put_nowait(report)

    async def place(self, order: NewOrder) -> Receipt:
        found = self._leave(requests.place([order], _TERMS, not_after_ms=order.not_after_ms))
        self._reported(
            OrderReport(
                order_id=order.order_id, venue_order_id=f"v{order.order_id}",
                instrument_id=_SWAP.id, side=order.side, status=OrderStatus.OPEN,
                price=order.price, size=order.size, filled_size=0, venue_ms=clock.now_ms(),
            )
        )  # fmt: skip
        return found

    async def amend(self, change: AmendOrder) -> Receipt:
        found = self._leave(requests.amend([change], not_after_ms=change.not_after_ms))
        before = self.orders[change.order_id]
        price = before.price if change.price is None else change.price
        size = before.size if change.size is None else change.size
        self._reported(replace(before, price=price, size=size, request_id=change.request_id))
        return found

    async def cancel(self, order: CancelOrder) -> Receipt:
        found = self._leave(requests.cancel([order]))
        self._reported(replace(self.orders.pop(order.order_id), status=OrderStatus.CANCELLED))
        return found

    async def open_orders(self) -> Sequence[OrderReport]:
        return [one for one in self.orders.values() if one.status is OrderStatus.OPEN]

    async def find(self, order: CancelOrder | str) -> OrderReport | None:
        return self.orders.get(order.order_id) if isinstance(order, CancelOrder) else None

    async def fills(self, _since_ms: int) -> Sequence[Fill]:
        return []

    async def funding(self, _since_ms: int) -> Sequence[FundingPayment]:
        return []

    async def state(self) -> AccountState:
        return AccountState(balances=(), positions=(), venue_ms=clock.now_ms())

    async def events(self) -> AsyncIterator[AccountEvent]:
        yield Connected(venue_ms=clock.now_ms())
        while True:
            yield await self.events_.get()


class Instruments:
    """The one instrument."""

    async def find(self, _symbols: Sequence[str]) -> Sequence[Instrument]:
        return [_SWAP]

    def restore(self, _instruments: Iterable[Instrument]) -> None:
        """Do nothing: the one instrument is known."""


@dataclass
class Feed:
    """The books that an exchange is told to show."""

    exchange: Exchange

    async def events(self, _instruments: Sequence[Instrument]) -> AsyncIterator[MarketEvent]:
        while True:
            yield await self.exchange.books.get()


def fill(url: str, wallets: int, bots: int) -> None:
    """Make wallets, each with market makers that have to run."""
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table bare_commit (number bigint)")
        for number in range(wallets):
            wallet = f"wal_{number:032x}"
            connection.execute(
                "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
                " permissions, max_order_micros)"
                " values (%(id)s, 'default', %(id)s, 'okx', 'demo', %(id)s, '', 1)",
                {"id": wallet},
            )
            for one in range(bots):
                connection.execute(
                    "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments,"
                    " limits, desired) values (%(id)s, 'default', %(id)s, %(wallet)s,"
                    " 'market_making', %(config)s, %(instruments)s, '{}', 'RUNNING')",
                    {
                        "id": f"b{number:04}{one:07}", "wallet": wallet,
                        "config": Jsonb(_CONFIG), "instruments": [_SWAP.id],
                    },
                )  # fmt: skip


@dataclass
class Running:
    """An engine that runs, and the exchange of each wallet."""

    store: Store
    leases: Leases
    exchanges: dict[str, Exchange]

    async def quoting(self, bots: int) -> None:
        """Wait until so many bots of each wallet have both quotes."""
        while not all(len(one.orders) >= 2 * bots for one in self.exchanges.values()):
            for one in self.exchanges.values():
                one.books.put_nowait(one.next_book())
            await asyncio.sleep(0.2)


@asynccontextmanager
async def running(pool: Pool, wallets: int, bots: int) -> AsyncIterator[Running]:
    """Run an engine until all bots quote, and to the end of the block."""
    sink = await asyncio.start_server(_swallow, "127.0.0.1", 0)
    host, port = sink.sockets[0].getsockname()[:2]
    exchanges: dict[str, Exchange] = {}

    class BareConnector:
        """To an exchange of its own for each wallet."""

        @asynccontextmanager
        async def opened(self, wallet: Row, _lease: WalletLease) -> AsyncIterator[Venue]:
            _, writer = await asyncio.open_connection(host, port)
            made = exchanges[wallet["id"]] = Exchange(writer)
            yield Venue(gateway=made, accounts=made, instruments=Instruments(), feed=Feed(made))
            writer.close()

        @asynccontextmanager
        async def prepared(self, _environment: str, _ids: Sequence[str]) -> AsyncIterator[None]:
            yield

    store = Store(pool, "bench")
    leases = Leases(pool, "bench", secrets.token_hex(8), _LEASE_MS)
    terms = Terms(
        name="bench", venues=("okx",), capacity=wallets * bots, version="bench",
        lease_ms=_LEASE_MS, poll_ms=500, write_ms=200,
    )  # fmt: skip
    async with (
        sink,
        run_in_background(Engine(store, leases, {"okx": BareConnector()}, terms).keep()),
    ):
        found = Running(store, leases, exchanges)
        async with asyncio.timeout(60):
            while len(exchanges) < wallets:  # noqa: ASYNC110 - nobody is told of it
                await asyncio.sleep(0.1)
        await found.quoting(bots)
        yield found


async def _swallow(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.CancelledError):
        while await reader.read(65_536):
            pass


async def path(one: Exchange, updates: int) -> tuple[Spread, Spread]:
    """Return milliseconds from a book to the first byte, with a bot between and without."""
    with_bot: list[float] = []
    bare: list[float] = []
    queue: asyncio.Queue[TradingBook] = asyncio.Queue()

    async def follow() -> None:
        while True:
            seen = await queue.get()
            price = seen.bids[0][0]
            asyncio.create_task(one.place(_order(price)))  # noqa: RUF006 - as the engine sends

    async with run_in_background(follow()):
        for number in range(updates + _WARM_UP):
            for to, taken in ((one.books, with_bot), (queue, bare)):
                one.first_ns = 0
                started = time.perf_counter_ns()
                to.put_nowait(one.next_book() if to is one.books else book(number))
                # A book that changes no quote is followed by another one.
                end = started + 500_000_000
                while not one.first_ns and time.perf_counter_ns() < end:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                if number >= _WARM_UP and one.first_ns:
                    taken.append((one.first_ns - started) / 1e6)
                await asyncio.sleep(0.02)
    return spread(with_bot), spread(bare)


def _order(price: int) -> NewOrder:
    return NewOrder(
        order_id=f"stranger{secrets.token_hex(4)}", instrument=_SWAP, side="BUY", price=price,
        size=100, not_after_ms=clock.now_ms() + 2_000,
    )  # fmt: skip


async def permits(found: Running, pool: Pool, times: int) -> tuple[Spread, Spread]:
    """Return milliseconds of a permit's commit, and of a bare one."""
    lease = next(iter((await found.leases.owned()).values()))
    renewed: list[float] = []
    bare: list[float] = []
    side: Side = "BUY"
    for number in range(times + _WARM_UP):
        given = Permit(
            bot_id="b00000000000", epoch=lease.epoch, instrument_id=_SWAP.id, side=side,
            first=10**6 + number, last=10**6 + number, worst_price=1, size=1,
            expires_ms=lease.until_ms,
        )  # fmt: skip
        started = time.perf_counter_ns()
        await found.store.permits(lease, "default", [PermitRequest(given)])
        done = time.perf_counter_ns()
        async with pool.connection() as connection:
            await connection.execute("insert into bare_commit values (%s)", (number,))
        after = time.perf_counter_ns()
        if number >= _WARM_UP:
            renewed.append((done - started) / 1e6)
            bare.append((after - done) / 1e6)
    return spread(renewed), spread(bare)


async def cores(found: Running, seconds: int) -> tuple[float, int]:
    """Return the part of a core that all bots take at a book a second each, and requests sent."""
    before = sum(one.sent for one in found.exchanges.values())
    started, used = time.perf_counter(), time.process_time()
    for number in range(seconds):
        for one in found.exchanges.values():
            one.books.put_nowait(one.next_book())
        await asyncio.sleep(max(started + number + 1 - time.perf_counter(), 0))
    taken = (time.process_time() - used) / (time.perf_counter() - started)
    return taken, sum(one.sent for one in found.exchanges.values()) - before


async def measure(given: argparse.Namespace) -> tuple[str, bool]:
    """Return what a person reads, and whether all goals are met."""
    with temporary.temporary_postgres() as server_url:
        url, many_url = (temporary.create_database(server_url) for _ in range(2))
        await asyncio.to_thread(fill, url, 1, 1)
        async with open_pool(url, name="bench", size=6) as pool, running(pool, 1, 1) as found:
            (one,) = found.exchanges.values()
            bot, nothing = await path(one, given.updates)
            permit, commit = await permits(found, pool, given.updates)
        each = given.bots // given.wallets
        await asyncio.to_thread(fill, many_url, given.wallets, each)
        async with (
            open_pool(many_url, name="bench", size=6) as pool,
            running(pool, given.wallets, each) as found,
        ):
            part, sent = await cores(found, given.seconds)
    first, second = bot.p50 / nothing.p50, permit.p50 / commit.p50
    reported = (
        f"book to first byte  {bot.p50:6.3f} ms p50, with nothing in it {nothing.p50:6.3f}:"
        f" {first:.1f} times (goal {PATH_GOAL:.0f}), p99 {bot.p99:.3f} and {nothing.p99:.3f}\n"
        f"a permit            {permit.p50:6.3f} ms p50, a bare commit {commit.p50:6.3f}:"
        f" {second:.1f} times (goal {PERMIT_GOAL:.0f})\n"
        f"{each * given.wallets} bots at a book a second each: {part:.2f} of a core"
        f" (goal 1), {sent / given.seconds:.0f} requests a second\n"
    )
    return reported, first <= PATH_GOAL and second <= PERMIT_GOAL and part <= 1


def main(arguments: Sequence[str]) -> int:
    """Measure and show; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.bots", description=__doc__)
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--wallets", type=int, default=20)
    parser.add_argument("--bots", type=int, default=200, help="over all wallets")
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args(arguments)
    if not 1 <= given.wallets <= given.bots:
        parser.error("--wallets: 1 to --bots")
    reported, met = asyncio.run(measure(given))
    sys.stdout.write(reported)
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
