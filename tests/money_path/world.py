"""The four processes of the money path on real stores, with a paper insiders-api behind them.

The processes are real (kill -9 works); leader trades and books come from the test over real gRPC;
what is judged is insiders-api's journal and the database.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import psutil
import psycopg
import redis.asyncio as redis
from psycopg.rows import TupleRow, dict_row

from launcher.embedded import role_urls
from launcher.engine_tokens import engine_tokens
from launcher.ports import free_port
from tests.money_path import upstream as upstreams
from tests.money_path.upstream import Upstream
from tests.support.prepared import Popen
from tradingtools.codec.marks import columns
from tradingtools.domain.money import parse_exact, to_text
from tradingtools.domain.permissions import OPERATOR
from tradingtools.rpc import callers, transport
from tradingtools.storage.redis import control_feed
from tradingtools.v1 import bookfeed_service_pb2 as books_pb
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import ingest_service_pb2 as ingest_pb
from tradingtools.v1 import router_service_pb2 as router_pb
from tradingtools.v1 import router_service_pb2_grpc as router_rpc

SERVICES = ("router", "executor", "confirm", "guard")
DEADLINE_SECONDS = 40.0
"""Bound of a test's wait for what must come; only a failing test waits that long."""
_END_SECONDS = 60.0


def tx() -> str:
    """A fresh transaction hash."""
    return "0x" + secrets.token_hex(32)


def micros(text: str) -> int:
    """Decimal text as micros."""
    return parse_exact(text)


class World:
    """One running money path."""

    def __init__(
        self, database_url: str, redis_url: str, upstream: Upstream, directory: Path
    ) -> None:
        self.upstream = upstream
        self.directory = directory
        self.database_url = database_url
        self.ports = {name: free_port() for name in SERVICES}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stand_ins: dict[str, tuple[str, ...]] = {}
        tokens, self._operator = engine_tokens()
        self._environment = {
            "PATH": os.environ["PATH"],
            "TT_DATABASE_URL": database_url,
            **role_urls(database_url),
            "TT_REDIS_URL": redis_url,
            **tokens,
            "TT_ROUTER_INGEST_TARGET": f"127.0.0.1:{upstream.port}",
            "TT_ROUTER_BOOKFEED_TARGET": f"127.0.0.1:{upstream.port}",
            "TT_ROUTER_CONFIRM_TARGET": self.target("confirm"),
            "TT_EXECUTOR_ROUTER_TARGET": self.target("router"),
            "TT_EXECUTOR_GUARD_TARGET": self.target("guard"),
            "TT_EXECUTOR_BOOKFEED_TARGET": f"127.0.0.1:{upstream.port}",
            "TT_CONFIRM_EXECUTOR_TARGET": self.target("executor"),
            # A fault may be meant for the next request, whatever it asks.
            "TT_CONFIRM_BALANCE_MS": "0",
            "TT_CONFIRM_BOOKFEED_TARGET": f"127.0.0.1:{upstream.port}",
            "TT_GUARD_CONFIRM_TARGET": self.target("confirm"),
            "TT_GUARD_BOOKFEED_TARGET": f"127.0.0.1:{upstream.port}",
            "TT_INSIDERS_STATE_DIR": str(directory),
            "TT_INSIDERS_PROBE_DATABASE_URL": database_url,
            "TT_INSIDERS_SETTLE_DELAY_MS": "150",
            "TT_INSIDERS_LONGEST_PROCESSING_MS": "500",
            **{f"TT_{name.upper()}_LISTEN": self.target(name) for name in SERVICES},
        }
        self.control_url = ""
        self.insiders_port = 0
        self.http = aiohttp.ClientSession()
        self._bus = redis.Redis.from_url(redis_url)
        self._connection: psycopg.Connection[dict[str, Any]] | None = None

    def target(self, name: str) -> str:
        """Where a service listens."""
        return f"127.0.0.1:{self.ports[name]}"

    def channel(self, name: str, caller: str = OPERATOR) -> grpc.aio.Channel:
        """A channel to a service, as an operator or another process has it."""
        token = self._operator
        if caller != OPERATOR:
            token = self._environment[f"TT_{caller.upper()}_ENGINE_TOKEN"]
        channel = transport.channel(self.target(name))
        return transport.showing(channel, ((callers.HEADER, token),))

    def configure(self, **settings: str) -> None:
        """Settings of every process that is started from now on."""
        self._environment.update(settings)

    def run_as(self, name: str, *command: str) -> None:
        """From the next start on, run a module with arguments in a service's place; none: itself.

        The module has to end up being the service.
        """
        if command:
            self._stand_ins[name] = command
        else:
            self._stand_ins.pop(name, None)

    def start(self, name: str, *, alias: str = "", **settings: str) -> None:
        """Start a process; under an alias when another one of this name runs as well."""
        module = "paper.insiders" if name == "insiders" else f"services.{name}"
        command = self._stand_ins.get(name, (module,))
        log = (self.directory / f"{alias or name}.log").open("ab")
        # A stand-in has its own way of importing the service.
        begin = subprocess.Popen if name in self._stand_ins else Popen
        self._processes[alias or name] = begin(
            [sys.executable, "-m", *command],
            env={**self._environment, **settings},
            stdout=log,
            stderr=log,
        )
        log.close()

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a process and wait for its end."""
        process = self._processes.pop(name)
        process.send_signal(number)
        process.wait(timeout=_END_SECONDS)

    def freeze(self, name: str) -> None:
        """Stop a process where it stands."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: int) -> None:
        """Signal a process, and what stands in for it as its children."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._processes[name].pid)
            for member in (process, *process.children()):
                member.send_signal(number)

    def exit_code(self, name: str) -> int:
        """Wait for a process that ends by itself."""
        return self._processes.pop(name).wait(timeout=_END_SECONDS)

    def pids(self) -> dict[str, int]:
        """The process ids of what was started and not ended by the test."""
        return {name: process.pid for name, process in self._processes.items()}

    def ended(self) -> list[str]:
        """Take note of what has ended by itself; returns the names."""
        gone = [name for name, process in self._processes.items() if process.poll() is not None]
        for name in gone:
            del self._processes[name]
        return gone

    async def start_all(self, **insiders: str) -> None:
        """Start everything and wait until it can be asked."""
        await self.start_insiders(**insiders)
        self.start_services()

    async def start_insiders(self, **insiders: str) -> None:
        """Start insiders-api, on the same ports as before, and wait for them."""
        self.start("insiders", **insiders)
        await eventually(self._insiders_is_up)
        ports = json.loads((self.directory / "insiders.ports.json").read_text())
        self.control_url = f"http://127.0.0.1:{ports['control_port']}"
        url = f"http://127.0.0.1:{ports['port']}"
        self._environment["TT_EXECUTOR_INSIDERS_URL"] = url
        self._environment["TT_CONFIRM_INSIDERS_URL"] = url
        self._environment["TT_INSIDERS_PORT"] = str(ports["port"])
        self._environment["TT_INSIDERS_CONTROL_PORT"] = str(ports["control_port"])
        self.insiders_port = int(ports["port"])

    def start_services(self) -> None:
        """Start the engine's processes."""
        for name in SERVICES:
            self.start(name)

    async def _insiders_is_up(self) -> bool:
        return (self.directory / "insiders.ports.json").exists()

    async def close(self) -> None:
        """End every process that is left."""
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._processes.values():
            process.wait(timeout=_END_SECONDS)
        if self._connection is not None:
            self._connection.close()
        await self.http.close()
        await self._bus.aclose()

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """Talk to insiders-api's control port."""
        async with self.http.request(method, self.control_url + path, json=body) as response:
            text = await response.text()
            assert response.status < 300, text
            return json.loads(text) if text else None

    async def journal(self) -> list[dict[str, Any]]:
        """Orders that were POSTed, as insiders-api's journal has them."""
        entries = (await self.control("GET", "/journal?after=0&limit=10000"))["entries"]
        return [e for e in entries if e["path"] in ("/api/trade/buy", "/api/trade/sell")]

    def sql(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Ask the database."""
        cursor = self._connected().execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        """The connection that was used last, as a fresh one costs more than most questions.

        What the server says unasked is that it has ended.
        """
        held = self._connection
        if held is not None and (held.closed or select.select([held], [], [], 0)[0]):
            held.close()
            held = None
        self._connection = held or psycopg.connect(
            self.database_url, autocommit=True, row_factory=dict_row, prepare_threshold=None
        )
        return self._connection

    async def redis_moved(self, redis_url: str) -> None:
        """Return what announces goes to another Redis from now on."""
        await self._bus.aclose()
        self._bus = redis.Redis.from_url(redis_url)

    async def announce(self, seq: int) -> None:
        """Wake the indexes, as control does after a commit."""
        await control_feed.announce(self._bus, seq)

    def scene(self) -> Scene:
        """A leader, an asset and followers that no other test has."""
        return Scene(self)


class Scene:
    """One leader, one asset, and followers by number."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.leader = "0x" + secrets.token_hex(20)
        self.asset = str(secrets.randbits(250) + 1)
        self.condition = "0x" + secrets.token_hex(32)
        self._wallets = secrets.token_hex(16)

    def another_asset(self) -> Scene:
        """The same leader and followers with another outcome."""
        other = Scene(self.world)
        other.leader, other._wallets = self.leader, self._wallets
        return other

    def wallet(self, number: int) -> str:
        """A follower's wallet."""
        return f"0x{self._wallets}{number:08x}"

    def put(self, *events: ingest_pb.LeaderTradeEvent) -> None:
        """Let the routers see facts, in one message."""
        self.world.upstream.put_trades(events)

    async def posted(self) -> list[dict[str, Any]]:
        """POSTs about this asset, as insiders-api's journal has them."""
        return [e for e in await self.world.journal() if self.asset in e["body"]]

    async def set_book(
        self,
        asks: Mapping[str, str],
        bids: Mapping[str, str],
        *,
        tick: str = "0.01",
        minimum: str = "5",
        payout: str | None = None,
        announce: bool = True,
    ) -> None:
        """Set the book at insiders-api and at bookfeed alike, best first."""
        book: dict[str, Any] = {
            "asks": [{"price": p, "size": s} for p, s in asks.items()],
            "bids": [{"price": p, "size": s} for p, s in bids.items()],
        }
        if payout is not None:
            book["payout"] = payout
        await self.world.control("PUT", f"/books/{self.asset}", book)
        market = books_pb.MarketInfo(
            asset_id=self.asset,
            condition_id=self.condition,
            tick_micros=micros(tick),
            min_size_micros=micros(minimum),
            category="other",
            fee_rate_micros=50_000,
        )
        if payout is not None:
            market.payout_micros = micros(payout)
        self.world.upstream.put_mark(
            books_pb.Mark(
                asset_id=self.asset,
                **columns(_levels(bids), _levels(asks)),
                status=books_pb.BOOK_STATUS_FRESH if asks or bids else books_pb.BOOK_STATUS_EMPTY,
                book_ms=time.time_ns() // 1_000_000,
                received_ns=time.time_ns(),
                market=market,
            ),
            announce=announce,
        )

    async def subscribe(self, number: int, **changes: object) -> str:
        """Write a subscription as control does, and wait until the router knows it."""
        fields: dict[str, object] = {
            "id": "sub_" + secrets.token_hex(16),
            "follower_user_id": f"user-{number}",
            "follower_wallet_id": f"wallet-{number}",
            "follower_proxy": self.wallet(number),
            "leader": self.leader,
            "state": "ACTIVE",
            "version": 1,
            "sizing_mode": "FIXED",
            "sizing_micros": 10_000_000,
            "max_slippage_micros": 30_000,
            **changes,
        }
        with self._as_control("subscription", str(fields["id"])) as (connection, seq):
            fields["changed_seq"] = seq
            names = ", ".join(fields)
            holes = ", ".join(["%s"] * len(fields))
            connection.execute(
                f"insert into subscription ({names}) values ({holes})", list(fields.values())
            )
        await self.world.announce(seq)
        await eventually(lambda: self._routed(str(fields["id"])))
        return str(fields["id"])

    async def _routed(self, subscription: str) -> bool:
        return subscription in await self.previewed()

    async def previewed(self, *, size: str = "1", price: str = "0.5") -> dict[str, str]:
        """Whom the router knows as a follower here, and why it would skip such a copy, if so."""
        fact = self.trade(size=size, price=price)
        async with self.world.channel("router") as channel:
            stub: Any = router_rpc.RouterServiceStub(channel)
            try:
                answer = await stub.PreviewRoute(router_pb.PreviewRouteRequest(trade=fact))
            except grpc.aio.AioRpcError:
                return {}
        return {preview.subscription_id: preview.reason for preview in answer.previews}

    @contextmanager
    def _as_control(
        self, kind: str, subject: str
    ) -> Iterator[tuple[psycopg.Connection[TupleRow], int]]:
        """A change as control makes it: under the exclusive lock, committed with its number.

        A number that is visible before what it stands for would be missed by the hot index.
        """
        with psycopg.connect(self.world.database_url) as connection:
            connection.execute("select lock_control_exclusive()")
            row = connection.execute(
                "select append_control_change('test', 'test', 'test', %s, %s, null, null)",
                (kind, subject),
            ).fetchone()
            assert row is not None
            yield connection, int(row[0])

    async def put_when_copied(self, fact: ingest_pb.LeaderTradeEvent) -> None:
        """Let the routers see a fact that every follower copies by the book that was set last.

        Books and trades come to a router by streams of their own: a trade may overtake the book
        that a test has set for it.
        """

        async def copied() -> bool:
            size, price = to_text(fact.size_micros), fact.price_text
            reasons = await self.previewed(size=size, price=price)
            return bool(reasons) and not any(reasons.values())

        await eventually(copied)
        self.put(fact)

    def note_change(self, kind: str, subject: str) -> int:
        """A control change, so that indexes look."""
        with self._as_control(kind, subject) as (_, seq):
            return seq

    def pause(self, subscription: str) -> int:
        """Pause as control does; the number of the change."""
        return self.change(subscription, state="PAUSED")

    def change(self, subscription: str, **columns: object) -> int:
        """Change a subscription as control does; the number of the change."""
        sets = "".join(f"{name} = %s, " for name in columns)
        with self._as_control("subscription", subscription) as (connection, seq):
            connection.execute(
                f"update subscription set {sets} version = version + 1,"
                " changed_seq = %s where id = %s",
                (*columns.values(), seq, subscription),
            )
        return seq

    def fund(self, subscription: str, usdc: int) -> int:
        """Put a budget into a subscription's wallet as control does; the number of the change."""
        (row,) = self.world.sql(
            "select follower_proxy from subscription where id = %s", subscription
        )
        with self._as_control("funding", row["follower_proxy"]) as (connection, seq):
            connection.execute(
                "insert into funding (follower_proxy, funded_micros, before_micros, changed_seq)"
                " select %s, %s, coalesce(sum(sold_notional_micros - bought_notional_micros"
                " - fee_micros), 0)::bigint, %s from lot where follower_proxy = %s"
                " on conflict (follower_proxy) do update set"
                " funded_micros = excluded.funded_micros, changed_seq = excluded.changed_seq",
                (row["follower_proxy"], usdc * 1_000_000, seq, row["follower_proxy"]),
            )
        return seq

    async def halt(self, scope: str, subject: str, mode: str = "HALTED") -> None:
        """Halt as control does."""
        self.world.sql(
            "insert into halt (scope, subject, mode, reason) values (%s, %s, %s, 'test')",
            scope, subject, mode,
        )  # fmt: skip
        await self.world.announce(self.note_change("halt", f"{scope}:{subject}"))

    async def end_halt(self, scope: str, subject: str) -> None:
        """Resume as control does."""
        self.world.sql("delete from halt where scope = %s and subject = %s", scope, subject)
        await self.world.announce(self.note_change("halt", f"{scope}:{subject}"))

    async def add_trigger(
        self,
        number: int,
        subscription: str,
        kind: str,
        price: str | None,
        size: str | None = None,
        **terms: object,
    ) -> str:
        """Write a trigger as control does; ``terms`` are further columns."""
        trigger = "trg_" + secrets.token_hex(16)
        held = self.world.sql(
            "select 1 from lot where follower_proxy = %s and asset_id = %s and origin = %s"
            " and shares_micros > 0",
            self.wallet(number), self.asset, subscription,
        )  # fmt: skip
        fields = {
            "id": trigger,
            "follower_proxy": self.wallet(number),
            "condition_id": self.condition,
            "asset_id": self.asset,
            "origin": subscription,
            "trigger_type": kind,
            "price_micros": None if price is None else micros(price),
            "size_micros": None if size is None else micros(size),
            "status": "ARMED" if held else "WAITING",
            **terms,
        }
        names, holes = ", ".join(fields), ", ".join(["%s"] * len(fields))
        self.world.sql(f"insert into trigger ({names}) values ({holes})", *fields.values())
        await self.world.announce(self.note_change("trigger", trigger))
        return trigger

    def trigger_status(self, trigger: str) -> str:
        """Where a trigger stands."""
        return str(self.world.sql("select status from trigger where id = %s", trigger)[0]["status"])

    async def stands(self, trigger: str, status: str) -> bool:
        """Return whether that is where a trigger stands."""
        return self.trigger_status(trigger) == status

    def orders(self) -> list[dict[str, Any]]:
        """This asset's orders, oldest first."""
        return self.world.sql(
            "select * from orders where asset_id = %s order by journal_seq, order_key", self.asset
        )

    def decisions(self) -> list[dict[str, Any]]:
        """This asset's decisions, oldest first."""
        return self.world.sql(
            "select * from decision where asset_id = %s order by decided_at", self.asset
        )

    def open_reservations(self) -> list[dict[str, Any]]:
        """Return what is still set aside for this asset."""
        return self.world.sql(
            "select * from reservation where released_at is null and asset_id = %s", self.asset
        )

    def lot(self) -> dict[str, Any]:
        """The only lot of this asset."""
        (lot,) = self.world.sql("select * from lot where asset_id = %s", self.asset)
        return lot

    async def settled(self, orders: int) -> None:
        """Wait until so many orders exist, none is open, and what ended unfilled is released.

        It is released after its end, by confirm.
        """

        async def quiet() -> bool:
            rows = self.orders()
            opened = [r for r in rows if r["state"] not in ("CONFIRMED", "FAILED", "LOST", "DEAD")]
            ended = {r["order_key"] for r in rows if r["state"] != "DEAD"}
            reserved = {r["order_key"] for r in self.open_reservations()}
            return len(rows) >= orders and not opened and not ended & reserved

        try:
            await eventually(quiet)
        except AssertionError:
            states = [(row["state"], row["reason"]) for row in self.orders()]
            reported = [(row["reason"], row["detail"]) for row in self.decisions()]
            raise AssertionError(f"not settled: {states}; decided: {reported}") from None

    def trade(
        self,
        side: str = "BUY",
        *,
        leader_tx: str | None = None,
        size: str,
        price: str,
        count: int = 1,
        held: str | None = None,
        age_ms: int = 0,
    ) -> ingest_pb.LeaderTradeEvent:
        """A fact as ingest streams it, of a transaction of its own unless one is named."""
        event = ingest_pb.LeaderTradeEvent(
            leader_tx=leader_tx or tx(),
            leader=self.leader,
            asset_id=self.asset,
            condition_id=self.condition,
            side=common.SIDE_BUY if side == "BUY" else common.SIDE_SELL,
            price_micros=micros(price),
            price_text=price,
            size_micros=micros(size),
            count=count,
            source=ingest_pb.TRADE_SOURCE_FEED,
            traded_ms=time.time_ns() // 1_000_000 - age_ms,
            received_ns=time.time_ns(),
            title="Will it rain?",
        )
        if held is not None:
            event.leader_held_before_micros = micros(held)
        return event


def _levels(sizes: Mapping[str, str]) -> list[tuple[int, int]]:
    return [(micros(price), micros(size)) for price, size in sizes.items()]


async def eventually(
    holds: Callable[[], Awaitable[bool]], seconds: float = DEADLINE_SECONDS
) -> None:
    """Wait until something holds; fails when it does not within the bound."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def world(database_url: str, redis_url: str, directory: Path) -> AsyncIterator[World]:
    """A world that is gone when the block ends."""
    async with upstreams.serving() as upstream:
        made = World(database_url, redis_url, upstream, directory)
        # What ends an entry is what its test does, not the time that a busy machine takes to start
        # a process, or the test's own book to be told.
        made.configure(TT_ROUTER_ENTRY_TTL_MS="60000", TT_ROUTER_BOOK_TIMEOUT_MS="30000")
        try:
            yield made
        finally:
            await made.close()
