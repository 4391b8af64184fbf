"""EventFeedService: the log for the world outside, behind the edge.

Server-sent events are framed here and leave as HttpBody, for the transcoder's own framing has no
`id` to resume by (docs/adr). Before it: Envoy, to which control's gate says who may read.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from google.api import httpbody_pb2  # type: ignore[import-untyped]
from google.protobuf import json_format

from tradingtools.domain.errors import CursorOutOfRange, InvalidField, LimitReached
from tradingtools.domain.event import SOURCE, Event, Selection, cloud_event, types_of
from tradingtools.rpc.headers import caller_of, exchanges_of_caller
from tradingtools.runtime.event_feed import EventFeed, Numbered, ResultCache
from tradingtools.storage.postgres import event_log
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import event_service_pb2 as pb
from tradingtools.v1 import event_service_pb2_grpc as rpc

_log = structlog.get_logger("events")
_PAGE = 100
_PIECE_BYTES = 64 * 1024
_RESUME = "last-event-id"
_NUMBER = re.compile(r"[0-9]{1,18}")
_HELLO = b"retry: 1000\n"
"""Of one block with the id after it: readers keep the id of each block, and a lone one has none."""
_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the streams."""

    streams: int
    """Open at a time."""
    streams_per_token: int
    """The same of one token."""
    heartbeat_seconds: float
    life_seconds: float
    """After which a stream ends, and the edge asks again whether its token may read."""
    stalled_seconds: float
    """After which a reader is cut who takes nothing."""


class EventFeedServicer(rpc.EventFeedServiceServicer):
    """Serves pages from the store, and streams from memory where they are near its end."""

    def __init__(self, pool: Pool, feed: EventFeed, limits: Limits) -> None:
        self._pool = pool
        self._feed = feed
        self._limits = limits
        self._open: Counter[str] = Counter()
        """By token."""
        self._frames = ResultCache(frame)

    async def ListEventPage(
        self, request: pb.ListEventPageRequest, context: _Context
    ) -> pb.ListEventPageResponse:
        """List events after a number; see the contract."""
        found = await event_log.page(
            self._pool, _selection(request, context), request.after, request.limit or _PAGE
        )
        return pb.ListEventPageResponse(
            events=[to_pb(number, event) for number, event in found.events],
            next_after=found.next_after,
        )

    async def FollowEvents(
        self, request: pb.FollowEventsRequest, context: _Context
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """Stream events as server-sent events; see the contract."""
        after, desired = self._begin(request, context), _selection(request, context)
        with self._opened(caller_of(context)):
            yield _body(_HELLO + _checkpoint(after))
            # A spread, so that those who came together do not come again together.
            life = self._limits.life_seconds * random.uniform(0.8, 1.2)  # noqa: S311
            try:
                async with asyncio.timeout(life) as ends:
                    await self._follow(after, desired, context)
            except TimeoutError:
                if not ends.expired():
                    raise

    @contextmanager
    def _opened(self, token: str) -> Iterator[None]:
        """Count a stream. Raises LimitReached: there are too many, of the token or in all."""
        if self._open.total() >= self._limits.streams:
            raise LimitReached("too many readers follow the log")
        if self._open[token] >= self._limits.streams_per_token:
            raise LimitReached("too many readers follow the log with this token")
        self._open[token] += 1
        try:
            yield
        finally:
            self._open[token] -= 1
            if not self._open[token]:
                del self._open[token]

    async def _follow(self, after: int, desired: Selection, context: _Context) -> None:
        beat = self._limits.heartbeat_seconds
        async for number, events in self._feed.select(after, desired, checkpoint_seconds=beat):
            for piece in self._framed(events) or (_checkpoint(number),):
                await self._write(context, piece)

    def _framed(self, events: list[Numbered]) -> list[bytes]:
        """Frames in pieces, so that a slow reader holds little."""
        pieces = [b""]
        for number, event in events:
            if len(pieces[-1]) > _PIECE_BYTES:
                pieces.append(b"")
            pieces[-1] += self._frames.of(number, event)
        return pieces if events else []

    async def _write(self, context: _Context, data: bytes) -> None:
        """Hand bytes to the transport, which takes them when the reader has taken those before."""
        try:
            async with asyncio.timeout(self._limits.stalled_seconds):
                await context.write(_body(data))
        except TimeoutError:
            _log.warning("a reader is cut: it took nothing for too long")
            raise LimitReached(
                "nothing was taken for too long; resume after the last event"
            ) from None

    def _begin(self, request: pb.FollowEventsRequest, context: _Context) -> int:
        """Return after which event to begin.

        Raises:
            InvalidField: Last-Event-ID is no number.
            CursorOutOfRange: no event has that number yet.
        """
        given = [v for k, v in context.invocation_metadata() or () if k == _RESUME]
        if given:
            if len(given) != 1 or not _NUMBER.fullmatch(str(given[0])):
                expected = "the id of an event of this stream"
                raise InvalidField(
                    f"Last-Event-ID: expected {expected}", field="Last-Event-ID", expected=expected
                )
            after = int(given[0])
        else:
            after = request.after if request.HasField("after") else self._feed.last
        if after > self._feed.last:
            raise CursorOutOfRange(f"no event has the number {after} yet", cursor=str(after))
        return after


def frame(number: int, event: Event) -> bytes:
    """Return an event as one of the server-sent ones; JSON has no line's end in it."""
    head = f"id: {number}\nevent: {event.type}\ndata: ".encode()
    return head + cloud_event(number, event) + b"\n\n"


def _body(data: bytes) -> httpbody_pb2.HttpBody:
    return httpbody_pb2.HttpBody(content_type="text/event-stream", data=data)


def _checkpoint(number: int) -> bytes:
    """A comment, and up to where there was nothing for this reader: it resumes from there."""
    return f": \nid: {number}\n\n".encode()


def to_pb(number: int, event: Event) -> pb.CloudEvent:
    """Return an event as REST gives it in a page."""
    message = pb.CloudEvent(
        specversion="1.0",
        id=event.id,
        source=SOURCE,
        type=event.type,
        subject=event.subject,
        sequence=number,
        datacontenttype="application/json",
        traceparent=event.traceparent or None,
    )
    message.time.FromDatetime(event.at)
    json_format.Parse(event.data, message.data)
    return message


def _selection(
    request: pb.ListEventPageRequest | pb.FollowEventsRequest, context: _Context
) -> Selection:
    """Return what a reader wants, of his exchanges.

    Raises InvalidField for a type that no event has.
    """
    patterns = request.types.split(",") if request.types else []
    return Selection(
        types=types_of(patterns, "types"),
        follower_proxy=request.wallet.lower(),
        subscription_id=request.subscription,
        exchanges=exchanges_of_caller(context),
    )
