"""The servicer: cursors in, events out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from redis.exceptions import RedisError

from services.ingest.core.sequence import Incarnation, entry_id
from services.ingest.publisher import Publisher
from services.ingest.store import Store
from tradingtools.adapters.redis.leader_log import LeaderLog
from tradingtools.domain import errors
from tradingtools.v1 import common_pb2, ingest_service_pb2, ingest_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class IngestServicer(ingest_service_pb2_grpc.IngestServiceServicer):
    """Serves what `Publisher` publishes; remembers named readers only."""

    def __init__(
        self, publisher: Publisher, log: LeaderLog, incarnation: Incarnation, store: Store
    ) -> None:
        self._publisher = publisher
        self._log = log
        self._incarnation = incarnation
        self._store = store

    async def StreamLeaderTrades(
        self,
        request: ingest_service_pb2.StreamLeaderTradesRequest,
        context: Context,
    ) -> AsyncIterator[ingest_service_pb2.StreamLeaderTradesResponse]:
        """From the cursor on, for ever."""
        after = self._publisher.resume(self._incarnation.read(request.cursor))
        await self._refuse_cut(after, request.cursor)
        async for cursor, trades in self._publisher.tail.follow(after):
            yield ingest_service_pb2.StreamLeaderTradesResponse(
                trades=trades, cursor=self._incarnation.write(cursor)
            )

    async def Acknowledge(
        self,
        request: common_pb2.AcknowledgeRequest,
        context: Context,
    ) -> common_pb2.AcknowledgeResponse:
        """Soon durable; what a crash of the database forgets is read again."""
        self._incarnation.read(request.cursor)
        await self._store.acknowledge(request.consumer, request.cursor)
        return common_pb2.AcknowledgeResponse()

    async def _refuse_cut(self, after: int, text: str) -> None:
        if not after:
            return
        try:
            cut = await self._log.was_cut(entry_id(after))
        except RedisError:
            return  # what memory holds can still be followed; what it does not, `load` refuses
        if cut:
            raise errors.CursorOutOfRange("cursor: the log begins later", cursor=text)
