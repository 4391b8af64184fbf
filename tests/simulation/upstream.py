"""ingest and bookfeed in the simulation: what leaders do and how the books stand.

Both are processes of the simulation with the real contracts in front. ingest's log keeps what the
workload has put in; a fact may come again, late, or in another order, as the merging allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from paper.insiders.core.model import Level, MarketBook
from tests.simulation.machine import Machine
from tradingtools import clock
from tradingtools.codec.marks import columns
from tradingtools.rpc import transport
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres import journal
from tradingtools.v1 import bookfeed_service_pb2 as books_pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as books_rpc
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import ingest_service_pb2 as ingest_pb
from tradingtools.v1 import ingest_service_pb2_grpc as ingest_rpc

TICK_MICROS = 10_000
MIN_SIZE_MICROS = 1_000_000
FEE_RATE_MICROS = 50_000
Levels = tuple[tuple[int, int], ...]


class Facts:
    """The log of leader trades; it outlives ingest, as Redis does."""

    def __init__(self) -> None:
        self.tail: Tail[ingest_pb.LeaderTradeEvent] = Tail(0, _nothing)
        self.under_way = 0
        """Facts that are late and still to come."""

    def come_late(self, event: ingest_pb.LeaderTradeEvent) -> None:
        """One of them is there."""
        self.under_way -= 1
        self.put(event)

    def put(self, event: ingest_pb.LeaderTradeEvent) -> None:
        """Let the routers see a fact."""
        self.tail.append(self.tail.last + 1, event)


class Market:
    """The books of all assets, as bookfeed and the exchange see them."""

    def __init__(self) -> None:
        self.books: dict[str, tuple[str, Levels, Levels]] = {}
        """By asset: condition, bids, asks; best first."""
        self.doubtful: set[str] = set()
        """Assets whose book bookfeed does not trust."""
        self.payouts: dict[str, int] = {}
        """What a share pays, by resolved asset, micros."""
        self.log: Tail[books_pb.Mark] = Tail(0, _nothing)

    def put(self, asset: str, condition: str, bids: Levels, asks: Levels) -> None:
        """Set an asset's book and publish it."""
        self.books[asset] = (condition, bids, asks)
        self.log.append(self.log.last + 1, self.mark(asset))

    def resolve(self, payouts: dict[str, int]) -> None:
        """Say for good what shares pay, and publish it."""
        self.payouts |= payouts
        for asset in payouts:
            self.log.append(self.log.last + 1, self.mark(asset))

    def mark(self, asset: str) -> books_pb.Mark:
        """An asset's book as bookfeed publishes it."""
        condition, bids, asks = self.books[asset]
        status = books_pb.BOOK_STATUS_FRESH if bids or asks else books_pb.BOOK_STATUS_EMPTY
        if asset in self.doubtful:
            status = books_pb.BOOK_STATUS_STALE
        return books_pb.Mark(
            asset_id=asset,
            **columns(bids, asks),
            status=status,
            book_ms=clock.now_ms(),
            received_ns=clock.now_ns(),
            market=books_pb.MarketInfo(
                asset_id=asset,
                condition_id=condition,
                tick_micros=TICK_MICROS,
                min_size_micros=MIN_SIZE_MICROS,
                fee_rate_micros=FEE_RATE_MICROS,
                category="other",
                closed=asset in self.payouts,
                payout_micros=self.payouts.get(asset),
            ),
        )

    def book(self, asset: str) -> MarketBook | None:
        """An asset's book as the exchange matches against it."""
        known = self.books.get(asset)
        if known is None:
            return None
        condition, bids, asks = known
        return MarketBook(
            asset_id=asset,
            condition_id=condition,
            tick=TICK_MICROS,
            min_size=MIN_SIZE_MICROS,
            fee_rate=FEE_RATE_MICROS,
            closed=asset in self.payouts,
            payout=self.payouts.get(asset),
            bids=tuple(Level(price=p, size=s) for p, s in bids),
            asks=tuple(Level(price=p, size=s) for p, s in asks),
        )


class IngestServicer(ingest_rpc.IngestServiceServicer):
    """Streams the facts from a cursor on."""

    def __init__(self, facts: Facts, pool: Any) -> None:
        self._facts = facts
        self._pool = pool

    async def StreamLeaderTrades(
        self,
        request: ingest_pb.StreamLeaderTradesRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[ingest_pb.StreamLeaderTradesResponse]:
        async for cursor, events in self._facts.tail.follow(int(request.cursor or 0)):
            yield ingest_pb.StreamLeaderTradesResponse(trades=events, cursor=str(cursor))

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> common.AcknowledgeResponse:
        await journal.acknowledge(self._pool, "leader_trades", request.consumer, request.cursor)
        return common.AcknowledgeResponse()


class BookfeedServicer(books_rpc.BookfeedServiceServicer):
    """Streams the marks, all of them first."""

    def __init__(self, market: Market) -> None:
        self._market = market

    async def StreamMarks(
        self, request: books_pb.StreamMarksRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[books_pb.StreamMarksResponse]:
        market = self._market
        after = market.log.last
        marks = [market.mark(asset) for asset in market.books]
        yield books_pb.StreamMarksResponse(marks=marks, cursor=str(after))
        async for cursor, news in market.log.follow(after):
            yield books_pb.StreamMarksResponse(marks=news, cursor=str(cursor))

    async def GetBook(
        self, request: books_pb.GetBookRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> books_pb.GetBookResponse:
        if request.asset_id not in self._market.books:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such asset")
        return books_pb.GetBookResponse(mark=self._market.mark(request.asset_id))

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> common.AcknowledgeResponse:
        return common.AcknowledgeResponse()


async def run_ingest(facts: Facts, machine: Machine, listen: str) -> None:
    """ingest's life."""
    servicer = IngestServicer(facts, machine.pool())
    async with transport.serving(
        listen, [], lambda server: ingest_rpc.add_IngestServiceServicer_to_server(servicer, server)
    ):
        await asyncio.Event().wait()


async def run_bookfeed(market: Market, listen: str) -> None:
    """bookfeed's life."""
    servicer = BookfeedServicer(market)
    async with transport.serving(
        listen,
        [],
        lambda server: books_rpc.add_BookfeedServiceServicer_to_server(servicer, server),
    ):
        await asyncio.Event().wait()


async def _nothing(after: int, limit: int) -> list[tuple[int, Any]]:
    return []
