"""The skeleton: the system's way from a frame to the POSTs, and nothing of what it does there.

Three processes as `ingest`, `router` and `executor`, joined by the engine's streams; one journal
record committed for the claim and one for SUBMITTING, each on a connection of the engine's own for
them, in the system's PostgreSQL; the engine's HTTP client out. No limits, books, states or memory,
no order among a wallet's entries, no rows built behind, no bookings. Beside the floor it shows what
processes, gRPC and PostgreSQL cost on a machine, beside the system what its features do.

`python -m bench.skeleton ingest|router|executor`; its environment says where the others are.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import grpc
import msgspec

from bench import floor
from tradingtools.rpc import transport
from tradingtools.rpc.streams import BEGINNING, Tail, read
from tradingtools.runtime import process
from tradingtools.settings import SharedSettings, setting
from tradingtools.storage.postgres import journal, lease
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.tasks import cancel_all
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import ingest_service_pb2 as ingest_pb
from tradingtools.v1 import ingest_service_pb2_grpc as ingest_rpc
from tradingtools.v1 import router_service_pb2 as router_pb
from tradingtools.v1 import router_service_pb2_grpc as router_rpc
from tradingtools.venues.insiders.order_gateway import Answer, InsidersClient, open_client
from tradingtools.venues.polymarket.socket import open_socket

_TOGETHER = 100
"""Orders in a record at most, as in the system's."""
_WARM = floor.CONNECTIONS
_TIMEOUT_MS = 10_000
_FRAME_BYTES = 1 << 20
_PING_SECONDS = 5.0
_LISTEN = "127.0.0.1:0"

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of each of the three, under ``TT_SKELETON_<FIELD>``."""

    feed_url: str = setting()
    insiders_url: str = setting()
    leaders: tuple[str, ...] = setting()
    """``LEADER=FOLLOWERS`` each."""
    target: str = setting("")
    """The process before, ``host:port``."""
    shared: SharedSettings = field(default_factory=SharedSettings)


class _Trades(ingest_rpc.IngestServiceServicer):
    def __init__(self, tail: Tail[ingest_pb.LeaderTradeEvent]) -> None:
        self._tail = tail

    async def StreamLeaderTrades(
        self, request: ingest_pb.StreamLeaderTradesRequest, context: Context
    ) -> AsyncIterator[ingest_pb.StreamLeaderTradesResponse]:
        async for cursor, trades in self._tail.follow(int(request.cursor)):
            yield ingest_pb.StreamLeaderTradesResponse(trades=trades, cursor=str(cursor))


class _Claims(router_rpc.RouterServiceServicer):
    def __init__(self, tail: Tail[pb.OrderBatch]) -> None:
        self._tail = tail

    async def StreamOrders(
        self, request: router_pb.StreamOrdersRequest, context: Context
    ) -> AsyncIterator[router_pb.StreamOrdersResponse]:
        async for cursor, batches in self._tail.follow(int(request.cursor)):
            yield router_pb.StreamOrdersResponse(batches=batches, cursor=str(cursor))


class _Writer:
    """Commits a record of the orders that have come together, and hands them on.

    Args:
        pool: of the connection for these records alone.
        owned: the right to write them.
        says: what a record says of an order.
        then: told a record's place in the journal, and its orders.
    """

    def __init__(
        self,
        pool: Pool,
        owned: lease.Lease,
        says: Callable[[pb.Order], object],
        then: Callable[[int, Sequence[pb.Order]], None],
    ) -> None:
        self._pool = pool
        self._owned = owned
        self._says = says
        self._then = then
        self._come: asyncio.Queue[Iterable[pb.Order]] = asyncio.Queue()

    def put(self, orders: Iterable[pb.Order]) -> None:
        """Orders that are asked for when it is their turn."""
        self._come.put_nowait(orders)

    async def run(self) -> None:
        """Write for ever."""
        while True:
            come = [await self._come.get()]
            while not self._come.empty():
                come.append(self._come.get_nowait())
            orders = chain.from_iterable(come)
            while part := list(islice(orders, _TOGETHER)):
                self._then(await self._commit(part), part)

    async def _commit(self, orders: Sequence[pb.Order]) -> int:
        digest = hashlib.sha256("".join(order.order_key for order in orders).encode()).hexdigest()
        claim = journal.Claim(
            record_key=f"{self._owned.role}:{digest}",
            payload=msgspec.json.encode([self._says(order) for order in orders]),
            order_count=len(orders),
        )
        async with self._pool.connection() as connection:
            return (await journal.insert_claim(connection, self._owned, claim)).seq


@asynccontextmanager
async def _writing(
    settings: Settings,
    role: str,
    says: Callable[[pb.Order], object],
    then: Callable[[int, Sequence[pb.Order]], None],
) -> AsyncIterator[_Writer]:
    """A writer with its connection and its lease, which is kept until the block ends."""
    url = settings.shared.database_url
    async with (
        open_pool(url, name=f"skeleton-{role}", size=1) as pool,
        open_pool(url, name=f"skeleton-{role}-claims", size=1, prompt=True) as claims,
    ):
        owned = await lease.acquire(pool, role, 0, f"skeleton-{role}")
        keeping = asyncio.ensure_future(lease.keep(pool, owned))
        try:
            yield _Writer(claims, owned, says, then)
        finally:
            await cancel_all([keeping])


async def _ingest(settings: Settings, stop: asyncio.Event) -> None:
    """Frames in, leaders' trades out."""
    leaders = floor.counts(settings.leaders)
    tail: Tail[ingest_pb.LeaderTradeEvent] = Tail(0, _nothing)
    trades = _Trades(tail)  # type: ignore[abstract] # nobody calls the rest
    async with (
        transport.serving(
            _LISTEN, [], lambda s: ingest_rpc.add_IngestServiceServicer_to_server(trades, s)
        ) as server,
        open_socket(
            settings.feed_url, ping="ping", ping_seconds=_PING_SECONDS, max_bytes=_FRAME_BYTES
        ) as socket,
    ):

        async def receive() -> None:
            while True:
                found = floor.read_frame(await socket.recv(decode=False), leaders)
                if found is not None:
                    tail.append(tail.last + 1, _event(found[0]))

        _ready(f"127.0.0.1:{server.port}")
        await process.until_stopped(stop, receive())


async def _router(settings: Settings, stop: asyncio.Event) -> None:
    """Leaders' trades in, claimed orders out."""
    leaders = floor.counts(settings.leaders)
    tail: Tail[pb.OrderBatch] = Tail(0, _nothing)
    claims = _Claims(tail)  # type: ignore[abstract] # nobody calls the rest

    def hand_on(seq: int, orders: Sequence[pb.Order]) -> None:
        tail.append(seq, pb.OrderBatch(journal_seq=seq, orders=orders))

    async with (
        transport.channel(settings.target) as channel,
        _writing(
            settings, "router", lambda order: (order.order_key, order.body.decode()), hand_on
        ) as writer,
        transport.serving(
            _LISTEN, [], lambda s: router_rpc.add_RouterServiceServicer_to_server(claims, s)
        ) as server,
    ):
        stub: Any = ingest_rpc.IngestServiceStub(channel)

        async def receive() -> None:
            async for response in read(
                "trades",
                lambda c: stub.StreamLeaderTrades(ingest_pb.StreamLeaderTradesRequest(cursor=c)),
                BEGINNING,
            ):
                for event in response.trades:
                    writer.put(_orders(event, leaders[event.leader.encode()]))

        _ready(f"127.0.0.1:{server.port}")
        await process.until_stopped(stop, receive(), writer.run())


async def _executor(settings: Settings, stop: asyncio.Event) -> None:
    """Claimed orders in, POSTs out."""
    async with (
        transport.channel(settings.target) as channel,
        open_client(settings.insiders_url, warm=_WARM) as client,
        _writing(
            settings, "executor", lambda order: order.order_key, _Sender(client).send
        ) as writer,
    ):
        stub: Any = router_rpc.RouterServiceStub(channel)

        async def receive() -> None:
            async for response in read(
                "orders",
                lambda c: stub.StreamOrders(router_pb.StreamOrdersRequest(cursor=c)),
                BEGINNING,
            ):
                for batch in response.batches:
                    writer.put(batch.orders)

        _ready("executor")
        await process.until_stopped(stop, receive(), writer.run())


class _Sender:
    """POSTs on connections that are ready; what finds none waits for one in a task."""

    def __init__(self, client: InsidersClient) -> None:
        self._client = client
        self._waiting: set[asyncio.Future[Answer]] = set()

    def send(self, _: int, orders: Sequence[pb.Order]) -> None:
        """Send, without waiting for an answer."""
        for order in orders:
            requested = ("buy", order.order_key, order.body, _TIMEOUT_MS)
            answer = self._client.begin(*requested)
            if answer is None:
                answer = asyncio.ensure_future(self._client.submit(*requested))
            self._waiting.add(answer)
            answer.add_done_callback(self._waiting.discard)


def _event(trade: floor.Trade) -> ingest_pb.LeaderTradeEvent:
    return ingest_pb.LeaderTradeEvent(
        leader_tx=trade.transactionHash,
        leader=trade.proxyWallet,
        asset_id=trade.asset,
        price_text=str(trade.price),
    )


def _orders(event: ingest_pb.LeaderTradeEvent, followers: int) -> Iterator[pb.Order]:
    trade = floor.Trade(
        asset=event.asset_id,
        proxyWallet=event.leader,
        price=float(event.price_text),
        transactionHash=event.leader_tx,
    )
    for key, body in floor.orders(trade, followers):
        yield pb.Order(order_key=key, body=body)


async def _nothing(_after: int, _limit: int) -> list[tuple[int, Any]]:
    """Before what memory holds."""
    return []


def _ready(said: str) -> None:
    sys.stdout.write(f"{said}\n")
    sys.stdout.flush()


_PARTS = {"ingest": _ingest, "router": _router, "executor": _executor}

if __name__ == "__main__":
    process.main("skeleton", Settings, _PARTS[sys.argv[1]])
