"""The servicer: marks as they change, or one at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc

from services.bookfeed.core.watchlist import Interest
from services.bookfeed.fetcher import Fetcher, usable
from services.bookfeed.hub import Hub, now_ms
from services.bookfeed.sockets import Sockets
from services.bookfeed.store import Store
from tradingtools.domain import errors
from tradingtools.rpc.streams import CHECKPOINT_SECONDS
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import bookfeed_service_pb2_grpc, common_pb2

_MARKS_MAX = 50
_BEHIND_SECONDS = 0.01
_CURSOR = re.compile(r"[0-9a-f]{8}-[0-9]{1,18}")

Context = grpc.aio.ServicerContext[Any, Any]


class BookfeedServicer(bookfeed_service_pb2_grpc.BookfeedServiceServicer):
    """Serves the hub. `life` names this life of the process in cursors."""

    def __init__(
        self,
        hub: Hub,
        fetcher: Fetcher,
        interest: Interest,
        sockets: Sockets,
        store: Store,
        life: str,
    ) -> None:
        self._hub = hub
        self._fetcher = fetcher
        self._interest = interest
        self._sockets = sockets
        self._store = store
        self._life = life

    async def StreamMarks(
        self, request: pb.StreamMarksRequest, context: Context
    ) -> AsyncIterator[pb.StreamMarksResponse]:
        """Send the present marks, then each that changes, coalesced."""
        named = frozenset(request.asset_ids)
        reader = self._hub.open(named or None)
        self._interest.open_stream(named)
        self._sockets.wake()
        try:
            while True:
                changed = await reader.changed(_MARKS_MAX, CHECKPOINT_SECONDS)
                marks = self._hub.marks(changed)
                yield pb.StreamMarksResponse(
                    marks=marks,
                    cursor=f"{self._life}-{self._hub.sequence}",
                    let_go=set(changed).difference(mark.asset_id for mark in marks),
                )
        finally:
            self._hub.close(reader)
            self._interest.close_stream(named)

    async def GetBook(self, request: pb.GetBookRequest, context: Context) -> pb.GetBookResponse:
        """Return a book from memory when it is good, else over REST; it is watched from now on."""
        asset_id = request.asset_id
        mark = self._hub.mark(asset_id)
        if mark is None or not (mark.market.closed or usable(self._hub.status(asset_id))):
            if request.market_suffices:
                mark = mark or self._fetcher.unseen(asset_id, request.condition_id)
                if mark is not None:
                    # Not before: a copy is leaving, on the same cores.
                    loop = asyncio.get_running_loop()
                    loop.call_later(_BEHIND_SECONDS, self._watch, asset_id)
                    return pb.GetBookResponse(mark=mark)
            try:
                await self._fetcher.ensure(asset_id, request.condition_id)
            except errors.Unavailable:
                if mark is None:
                    raise
        self._interest.touch(asset_id, now_ms())
        self._sockets.wake()
        mark = self._hub.mark(asset_id) or mark
        if mark is None:
            raise errors.Unavailable("book not there yet", dependency="venue", retry_after_ms="100")
        return pb.GetBookResponse(mark=mark)

    def _watch(self, asset_id: str) -> None:
        self._fetcher.fetch_soon(asset_id)
        self._sockets.wake()

    async def Acknowledge(
        self, request: common_pb2.AcknowledgeRequest, context: Context
    ) -> common_pb2.AcknowledgeResponse:
        """Keep a reader's progress, for operators only."""
        if not _CURSOR.fullmatch(request.cursor):
            raise errors.InvalidField(
                "cursor: is not a cursor of this stream", field="cursor", expected="<life>-<n>"
            )
        life, _, number = request.cursor.partition("-")
        if life != self._life:
            raise errors.CursorOutOfRange("cursor: is of another life", cursor=request.cursor)
        if int(number) > self._hub.sequence:
            raise errors.InvalidField(
                "cursor: was not sent yet", field="cursor", expected="a cursor sent"
            )
        await self._store.acknowledge(request.consumer, request.cursor)
        return common_pb2.AcknowledgeResponse()
