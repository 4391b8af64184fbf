"""A wallet's run on a real database, beside an exchange made of the port's values.

The exchange is the truth: it takes orders, fills them when a test says so, and tells what a socket
would tell. What a test does to it behind the engine's back is done to it directly.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import msgspec
import psycopg
import pytest

from services.bots.core.strategy import Intent, Quote, StrategyEvent, View
from services.bots.leases.store import Leases
from services.bots.store import Store, WalletLease
from services.bots.strategies import registry
from services.bots.strategies.registry import Kind
from services.bots.wallet_run import Venue, WalletRun
from tests.unit.bots.samples import AMENDS, book, swap
from tradingtools import clock
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.tasks import run_in_background
from tradingtools.venues.ports import Meaning, Side
from tradingtools.venues.trading import (
    AccountEvent,
    AccountPosition,
    AccountState,
    AmendOrder,
    Balance,
    CancelOrder,
    Connected,
    Fill,
    FundingPayment,
    MarketEvent,
    NewOrder,
    OrderReport,
    OrderStatus,
    ReadError,
    Receipt,
)

SWAP = swap()
ACCEPTED = Receipt(meaning=Meaning.ACCEPTED)
CONFIG = {
    "instrument_id": SWAP.id,
    "order_size": 10**8,
    "max_position": 5 * 10**8,
    "max_half_spread": 100 * 10**8,
}


GRID = {
    "instrument_id": SWAP.id,
    "lower": 600_000,
    "upper": 700_000,
    "cells": 2,
    "order_size": 10,
}


@dataclass
class Exchange:
    """Gateway, accounts, instruments and feed at once."""

    capabilities: Any = AMENDS
    instruments: dict[str, Instrument] = field(default_factory=lambda: {SWAP.id: SWAP})
    orders: dict[str, OrderReport] = field(default_factory=dict)
    traded: list[Fill] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    placed: list[NewOrder] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    unreadable: bool = False
    unknown_instruments: bool = False
    reads: int = 0
    """How often fills were asked for."""
    turns: asyncio.Semaphore | None = None
    """Each question for fills takes one; None: nobody waits."""
    connecting: asyncio.Event | None = None
    """Nothing is told before it is set; None: all is, at once."""
    looked: int = 0
    """How often instruments were asked for."""
    reported: asyncio.Queue[AccountEvent] = field(default_factory=asyncio.Queue)
    market: list[MarketEvent] = field(default_factory=list)
    silent: bool = False
    """Nothing is told by the socket."""
    refusing: bool = False
    doubted: bool = False
    """Books are told as stale."""
    stale_reported: int = 0
    tells: float = math.inf
    """How often a feed tells its books; 0: those that there are fall silent."""
    payments: list[FundingPayment] = field(default_factory=list)
    balances: dict[str, Balance] = field(default_factory=dict)
    read: int = 0
    """How often the account was read."""
    unanswered: bool = False
    """Requests arrive, and nobody hears of it; what was placed is not found either."""
    most_sold: int | None = None
    """A greater sale is refused, as a spot exchange does; None: none is."""

    @property
    def venue(self) -> Venue:
        return Venue(gateway=self, accounts=self, instruments=Listing(self), feed=Feed(self))

    @asynccontextmanager
    async def opened(self, *_: object) -> AsyncIterator[Venue]:
        """Be the way of an engine to itself."""
        yield self.venue

    @asynccontextmanager
    async def prepared(self, *_: object) -> AsyncIterator[None]:
        """Need no preparation."""
        yield

    def register_order(self, order: NewOrder) -> str:
        """Know no id of it: it is found by ours."""
        return ""

    async def place(self, order: NewOrder) -> Receipt:
        lacks = self.most_sold is not None and order.side == "SELL" and order.size > self.most_sold
        if self.refusing or lacks:
            return Receipt(meaning=Meaning.REJECTED, code="51008" if lacks else "51000")
        self.placed.append(order)
        report = OrderReport(
            order_id=order.order_id,
            venue_order_id=f"v{len(self.placed)}",
            instrument_id=order.instrument.id,
            side=order.side,
            status=OrderStatus.OPEN,
            price=order.price,
            size=order.size,
            filled_size=0,
            venue_ms=clock.now_ms(),
        )
        self.orders[order.order_id] = report
        self._notify(report)
        if self.unanswered:
            return Receipt(meaning=Meaning.UNKNOWN)
        return replace(ACCEPTED, venue_order_id=report.venue_order_id)

    async def cancel(self, order: CancelOrder) -> Receipt:
        self.cancelled.append(order.order_id)
        report = self.orders.get(order.order_id)
        if report is None or report.status not in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED):
            return Receipt(meaning=Meaning.REJECTED, code="51400")
        self.orders[order.order_id] = replace(report, status=OrderStatus.CANCELLED)
        self._notify(self.orders[order.order_id])
        return ACCEPTED

    async def amend(self, change: AmendOrder) -> Receipt:
        return Receipt(meaning=Meaning.REJECTED, code="51503")

    async def open_orders(self) -> Sequence[OrderReport]:
        self._readable()
        if self.unanswered:
            return []
        return [
            one
            for one in self.orders.values()
            if one.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
        ]

    async def find(self, order: CancelOrder) -> OrderReport | None:
        self._readable()
        if self.unanswered:
            raise ReadError("the exchange does not answer")
        return self.orders.get(order.order_id)

    async def fills(self, since_ms: int) -> Sequence[Fill]:
        self._readable()
        self.reads += 1
        if self.turns is not None:
            await self.turns.acquire()
        return [one for one in self.traded if one.venue_ms >= since_ms]

    async def funding(self, since_ms: int) -> Sequence[FundingPayment]:
        self._readable()
        return [one for one in self.payments if one.venue_ms >= since_ms]

    async def state(self) -> AccountState:
        self._readable()
        held = (
            AccountPosition(instrument_id=one, size=size, entry_price=None)
            for one, size in self.positions.items()
        )
        self.read += 1
        balances = tuple(self.balances.values())
        return AccountState(balances=balances, positions=tuple(held), venue_ms=clock.now_ms())

    async def events(self) -> AsyncIterator[AccountEvent]:
        if self.connecting is not None:
            await self.connecting.wait()
        yield Connected(venue_ms=clock.now_ms())
        while True:
            yield await self.reported.get()

    def fill(self, order_id: str, size: int, **more: Any) -> Fill:
        """Fill a part of an order, and tell it."""
        report = self.orders[order_id]
        filled = report.filled_size + size
        whole = filled == report.size
        self.orders[order_id] = replace(
            report,
            filled_size=filled,
            status=OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED,
        )
        one = self.trade(order_id, report.side, report.price, size, **more)
        self._notify(self.orders[order_id])
        return one

    def end(self, order_id: str) -> None:
        """End an order as the exchange does, and tell it."""
        self.orders[order_id] = replace(self.orders[order_id], status=OrderStatus.CANCELLED)
        self._notify(self.orders[order_id])

    def trade(self, order_id: str, side: Side, price: int, size: int, **more: Any) -> Fill:
        """Let something be traded, and tell it; an empty id is a stranger's."""
        values = {
            "trade_id": f"t{len(self.traded) + 1}",
            "order_id": order_id,
            "venue_order_id": f"v{order_id}",
            "instrument_id": SWAP.id,
            "side": side,
            "price": price,
            "size": size,
            "fee": 0,
            "fee_currency": "USDT",
            "maker": True,
            "venue_ms": clock.now_ms(),
            **more,
        }
        one = Fill(**values)
        self.traded.append(one)
        signed = size if side == "BUY" else -size
        held = self.positions.get(one.instrument_id, 0)
        self.positions[one.instrument_id] = held + signed
        self._notify(one)
        return one

    def _notify(self, event: AccountEvent) -> None:
        if not self.silent:
            self.reported.put_nowait(event)

    def _readable(self) -> None:
        if self.unreadable:
            raise ReadError("the exchange does not answer")


@dataclass
class Listing:
    """The instruments of an exchange."""

    exchange: Exchange

    async def find(self, symbols: Sequence[str]) -> Sequence[Instrument]:
        self.exchange.looked += 1
        if self.exchange.unknown_instruments:
            raise ReadError("the exchange does not answer")
        known = self.exchange.instruments
        return [one for one in known.values() if one.symbol in symbols]

    def restore(self, instruments: Iterable[Instrument]) -> None:
        """Do nothing: what is known here stays."""


@dataclass
class Feed:
    """The markets of an exchange: a book again and again, and what a test wants told."""

    exchange: Exchange

    async def events(self, instruments: Sequence[Instrument]) -> AsyncIterator[MarketEvent]:
        for turn in count():
            while self.exchange.market:
                yield self.exchange.market.pop(0)
            for one in instruments if turn < self.exchange.tells else ():
                reported = book(one, [(640_000, 900)], [(640_010, 900)], venue_ms=clock.now_ms())
                if self.exchange.doubted:
                    reported = msgspec.structs.replace(reported, status=BookStatus.STALE)
                    self.exchange.stale_reported += 1
                yield reported
            await asyncio.sleep(0.02)


class Script:
    """A strategy that does what a test says at each event."""

    def __init__(self) -> None:
        self.intents: tuple[Intent, ...] = ()
        self.received: list[StrategyEvent] = []
        self.fails: Exception | None = None
        self.cannot_explain = False

    def begin(self, config: Any) -> int:
        return 0

    def on(
        self, config: Any, state: int, event: StrategyEvent, view: View
    ) -> tuple[int, tuple[Intent, ...]]:
        self.received.append(event)
        if self.fails is not None:
            raise self.fails
        return state + 1, self.intents

    def explain(self, config: Any, state: int, view: View) -> Mapping[str, str]:
        if self.cannot_explain:
            raise ZeroDivisionError
        return {}


@dataclass
class Desk:
    """A database with one wallet, and the bots of it."""

    url: str
    exchange: Exchange = field(default_factory=Exchange)
    wallet: str = ""
    number: int = 0
    lease_ms: int = 60_000
    run: WalletRun | None = None
    """The one that runs, or ran last."""

    def rows(self, query: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []

    def __post_init__(self) -> None:
        """Begin with a wallet of its own: the tables of a bot's events keep what they have."""
        ((count,),) = self.rows("select count(*) from trading_wallet")
        self.wallet, self.number = f"wal_{count:032x}", count
        self.rows("update trading_wallet set state = 'RETIRED'")
        self.rows(
            "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
            " permissions, max_order_micros) values (%s, 'default', %s, 'okx', 'live', %s,"
            " 'trade', 1)",
            self.wallet, self.wallet, self.wallet,
        )  # fmt: skip

    @property
    def one(self) -> str:
        """Return the id of a bot that no other test has."""
        return f"mm{self.number:010}"

    @property
    def other(self) -> str:
        """Return the id of a second one."""
        return f"gr{self.number:010}"

    def bot(self, bot_id: str, strategy: str = "market_making", **more: Any) -> None:
        self.rows(
            "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments, limits,"
            " desired) values (%s, 'default', %s, %s, %s, %s, %s, %s, %s)",
            bot_id, bot_id, self.wallet, strategy, json.dumps(more.get("config", CONFIG)),
            more.get("instruments", [SWAP.id]), json.dumps(more.get("limits", {})),
            more.get("desired", "RUNNING"),
        )  # fmt: skip

    def state(self, bot_id: str) -> str:
        ((state,),) = self.rows("select state from bot where id = %s", bot_id)
        return str(state)

    def reason(self, bot_id: str) -> str:
        ((reason,),) = self.rows("select reason from bot where id = %s", bot_id)
        return str(reason)

    def command(self, bot_id: str, desired: str) -> None:
        self.rows("update bot set desired = %s where id = %s", desired, bot_id)

    def booked(self, bot_id: str) -> int:
        signed = "case when (side = 'BUY') <> undone then size else -size end"
        ((size,),) = self.rows(
            f"select coalesce(sum({signed}), 0) from bot_fill where bot_id = %s", bot_id
        )
        return int(size)

    async def leased(self, pool: Pool, engine: str = "engine") -> WalletLease:
        """Take the wallet as a process of an engine does, once those before have run out."""
        for table in ("bot_engine", "trading_wallet_lease"):
            self.rows(f"update {table} set until = clock_timestamp()")
        leases = Leases(pool, engine, secrets.token_hex(16), self.lease_ms)
        await leases.register(venues=["okx"], capacity=10, version="test", bots=0, lag_ms=0)
        assert await leases.take(), "nothing is to be done for the wallet"
        (lease,) = (await leases.owned()).values()
        return lease

    @asynccontextmanager
    async def running(
        self, engine: str = "engine", *, write_ms: int = 10, par: Sequence[str] = ("USDT", "USD")
    ) -> AsyncIterator[asyncio.Task[None]]:
        """Take the wallet as an engine does, and run it; nothing is given back at the end."""
        async with open_pool(self.url, name="test", size=3) as pool:
            lease = await self.leased(pool, engine)
            run = self.run = WalletRun(Store(pool, engine, par), lease, write_ms=write_ms)
            task = asyncio.create_task(run.run(self.exchange.venue))
            async with run_in_background(_raised(task)):
                yield task
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await run.close()


async def _raised(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def until(holds: Any, what: str) -> Any:
    """Return the first true answer."""
    for _ in range(2_000):
        found = holds()
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited too long for {what}")


def scripted(monkeypatch: pytest.MonkeyPatch, name: str = "market_making") -> Script:
    """Let a test say what bots of a strategy do."""
    script = Script()
    kinds: Any = registry.KINDS
    make: Any = lambda: script  # noqa: E731
    monkeypatch.setitem(kinds, name, Kind(make=make, state=int))
    return script


def quote(size: int = 10, slot: str = "a", **more: Any) -> Quote:
    values = {"side": "BUY", "price": 639_000, "instrument_id": SWAP.id, **more}
    return Quote(slot=slot, size=size, **values)


def open_orders(desk: Desk) -> list[str]:
    return [one.order_id for one in desk.exchange.orders.values() if one.status == "OPEN"]
