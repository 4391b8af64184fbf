"""EventService: the log to readers who follow it, and to those who ask for a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from tradingtools.codec.events import to_pb
from tradingtools.domain.event import Selection, types_of
from tradingtools.rpc.streams import CHECKPOINT_SECONDS
from tradingtools.runtime.event_feed import EventFeed
from tradingtools.storage.postgres import event_log
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import event_service_pb2 as pb
from tradingtools.v1 import event_service_pb2_grpc as rpc

_PAGE = 100


class EventServicer(rpc.EventServiceServicer):
    """Serves the log from memory where it is new, and from its table where it is old."""

    def __init__(self, pool: Pool, feed: EventFeed) -> None:
        self._pool = pool
        self._feed = feed

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        """Stream events after a number; see the contract."""
        desired = _selection(request.filter)
        before = int(request.cursor) if request.cursor else self._feed.last
        async for after, events in self._feed.select(
            before, desired, checkpoint_seconds=CHECKPOINT_SECONDS
        ):
            yield pb.StreamEventsResponse(
                events=[to_pb(number, event) for number, event in events], cursor=str(after)
            )

    async def ListEvents(
        self, request: pb.ListEventsRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListEventsResponse:
        """List events after a number; see the contract."""
        size = request.page_size or _PAGE
        found = await event_log.page(self._pool, _selection(request.filter), request.after, size)
        return pb.ListEventsResponse(
            events=[to_pb(number, event) for number, event in found.events],
            next_after=found.next_after,
        )


def _selection(event_filter: pb.EventFilter) -> Selection:
    """Return what a reader wants. Raises InvalidField for a type that no event has."""
    return Selection(
        types=types_of(event_filter.types, "filter.types"),
        follower_proxy=event_filter.wallet.lower(),
        subscription_id=event_filter.subscription_id,
    )
