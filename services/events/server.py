"""EventService: the log to readers who follow it, and to those who ask for a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from services.events import store
from services.events.codec import to_pb
from services.events.core.derive import Event
from services.events.core.selection import Selection
from tradingtools.domain.errors import InvalidField
from tradingtools.domain.event_types import EventType
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import event_service_pb2 as pb
from tradingtools.v1 import event_service_pb2_grpc as rpc

_PAGE = 100
_TYPES = frozenset(str(kind) for kind in EventType)


class EventServicer(rpc.EventServiceServicer):
    """Serves the log from memory where it is new, and from its table where it is old."""

    def __init__(self, pool: Pool, tail: Tail[Event]) -> None:
        self._pool = pool
        self._tail = tail

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        """Stream events after a number; see the contract."""
        wanted = _selection(request.filter)
        before = int(request.cursor) if request.cursor else self._tail.last
        async for after, events in self._tail.follow(before):
            # The log has no gap, so an event's number is its distance from the last one's.
            first = after - len(events) + 1
            yield pb.StreamEventsResponse(
                events=[
                    to_pb(number, event)
                    for number, event in enumerate(events, first)
                    if wanted.takes(event)
                ],
                cursor=str(after),
            )

    async def ListEvents(
        self, request: pb.ListEventsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListEventsResponse:
        """List events after a number; see the contract."""
        wanted = _selection(request.filter)
        size = request.page_size or _PAGE
        found = await store.listed(
            self._pool,
            after=request.after,
            types=sorted(wanted.types),
            follower_proxy=wanted.follower_proxy,
            subscription_id=wanted.subscription_id,
            limit=size + 1,
        )
        more, page = len(found) > size, found[:size]
        return pb.ListEventsResponse(
            events=[to_pb(number, event) for number, event in page],
            next_after=page[-1][0] if more else None,
        )


def _selection(asked: pb.EventFilter) -> Selection:
    """Return what a reader wants.

    Raises:
        InvalidField: a type that no event has.
    """
    unknown = sorted(set(asked.types) - _TYPES)
    if unknown:
        raise InvalidField(
            f"filter.types: no event is of type {unknown[0]}",
            field="filter.types",
            expected="types that docs/events.md lists",
        )
    return Selection(
        types=frozenset(asked.types),
        follower_proxy=asked.wallet.lower(),
        subscription_id=asked.subscription_id,
    )
