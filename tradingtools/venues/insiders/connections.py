"""Warm HTTP/1.1 connections on which an order leaves at once, and exactly once.

The general clients that were measured cost a multiple of the wire on a fan-out; this one does only
what the money path needs ([decision](../../../docs/adr/0011-hot-path-clients.md)).
`httptools` reads the answers. One request, one answer: no retry, no redirect, no decompression. An
exception says which of two things is known: not one byte left, or anything may have happened.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import httptools
import structlog

from tradingtools import clock
from tradingtools.venues.insiders.priority_semaphore import PrioritySemaphore

_log = structlog.get_logger("insiders.connections")
_HEAD_LIMIT_BYTES = 64 * 1024
_RENEW_SECONDS = 0.25
_CONNECT_SECONDS = 5.0
_FAIR_MS = 1_000
"""Who could not wait so long for a connection says nothing of the other end."""
_RETAINED = 8
"""Connections kept for what is urgent, and no more than one of sixteen."""


Ready = Callable[[], Awaitable[None]]
"""Awaited directly before a first byte; what it raises keeps the request back."""


class NotSent(Exception):
    """No connection could be had: provably not one byte of the request left."""


class ConnectionGone(NotSent):
    """Nothing left on a connection that there was, or too little time for one: the other end may be
    well."""


class Unanswered(Exception):
    """The request may have left and no whole answer came.

    Args:
        why: in words.
        first_byte_ns: when it began to leave, nanoseconds since the epoch.
    """

    def __init__(self, why: str, first_byte_ns: int) -> None:
        super().__init__(why)
        self.first_byte_ns = first_byte_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, unjudged."""

    status: int
    body: bytes
    """Cut one byte above the limit when there was more."""
    first_byte_ns: int
    """When the request began to leave, nanoseconds since the epoch."""
    answered_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where insiders-api is, and how it is spoken to.

    Args:
        host: name or address.
        port: TCP port.
        tls: a context that verifies the other side; None for plain HTTP.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class Connections:
    """A pool of connections to one origin; the one used last is used next.

    Args:
        origin: the other end.
        limit: connections at most; a request beyond them waits for one.
        warm: idle connections that :meth:`keep_warm` holds ready.
        idle_ms: an idle connection older than this is replaced. It has to be less than what the
            other end waits before it closes one: an order that meets the close is UNKNOWN. A
            ``Keep-Alive: timeout`` in an answer replaces it for that connection.
        body_limit: largest body of an answer, bytes.
    """

    def __init__(
        self, origin: Origin, *, limit: int, warm: int, idle_ms: int, body_limit: int
    ) -> None:
        self._origin = origin
        self._warm = min(warm, limit)
        self._idle_seconds = idle_ms / 1000
        self._body_limit = body_limit
        self._idle: deque[_Connection] = deque()
        self._room = PrioritySemaphore(limit, kept=min(_RETAINED, limit // 16))
        self._busy = 0
        self._started: set[_Connection] = set()

    def begin(
        self, request: bytes, timeout_ms: int, *, urgent: bool = False
    ) -> asyncio.Future[Answer] | None:
        """Send a request, whole head and body, on an idle connection, before anything else runs.

        Arguments as of :meth:`exchange`.

        Returns:
            The answer to come, or Unanswered; None: no connection is ready and nothing left.
        """
        connection = self._newest()
        if connection is None:
            return None
        if not self._room.take(urgent=urgent):
            self._idle.append(connection)
            return None
        self._busy += 1
        self._started.add(connection)
        answer = connection.begin(request)
        timer = asyncio.get_running_loop().call_later(timeout_ms / 1000, connection.give_up)
        answer.add_done_callback(partial(self._end, connection, timer))
        return answer

    def _end(
        self, connection: _Connection, timer: asyncio.TimerHandle, answer: asyncio.Future[Answer]
    ) -> None:
        timer.cancel()
        if answer.cancelled():
            connection.close()
        self._started.discard(connection)
        self._busy -= 1
        self._give_back(connection)
        self._room.leave()

    async def exchange(
        self,
        request: bytes,
        timeout_ms: int,
        *,
        urgent: bool = False,
        ready: Ready | None = None,
        leave_ms: int | None = None,
    ) -> Answer:
        """Send a request, whole head and body, and wait for its answer.

        Args:
            request: to send.
            timeout_ms: for everything.
            urgent: it has a connection before all that are not.
            ready: awaited when there is a connection, directly before the first byte; what it
                raises keeps the request back and is raised.
            leave_ms: within which the first byte has to leave; None: within ``timeout_ms``.

        Raises:
            NotSent: nothing left within the time, or Gone.
            Unanswered: it left, or may have, and no whole answer came within the time.
        """
        at_hand = left = False
        now = asyncio.get_running_loop().time
        over_at = now() + timeout_ms / 1000
        leaving_ms = timeout_ms if leave_ms is None else min(timeout_ms, leave_ms)
        if leaving_ms <= 0:
            # A timeout only ends what waits, and with a connection ready nothing here does.
            raise ConnectionGone("it is too late to leave")
        leaving_at = now() + leaving_ms / 1000
        try:
            async with (
                asyncio.timeout_at(leaving_at) as time,
                self._room.one(urgent=urgent),
            ):
                connection = self._newest() or await self._connect()
                self._busy += 1
                try:
                    if ready is not None:
                        at_hand = True
                        await ready()
                        if not connection.ready:
                            raise ConnectionGone("the connection ended before anything left on it")
                    if now() >= leaving_at:
                        # A loop that stood still wakes first whom an answer had woken before.
                        raise ConnectionGone("it has become too late to leave")
                    left = True
                    time.reschedule(over_at)
                    return await connection.exchange(request)
                finally:
                    self._busy -= 1
                    self._give_back(connection)
        except TimeoutError as error:
            if at_hand and not left:
                raise ConnectionGone("no look within the time") from error
            if not left and leaving_ms < min(timeout_ms, _FAIR_MS):
                raise ConnectionGone("no connection before it was too late to leave") from error
            if not left:
                raise NotSent("no connection within the time") from error
            raise Unanswered("no whole answer within the time", connection.first_byte_ns) from error

    def _newest(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.ready:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        origin = self._origin
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self._idle_seconds, self._body_limit),
                origin.host,
                origin.port,
                ssl=origin.tls,
            )
        except OSError as error:
            raise NotSent(str(error) or type(error).__name__) from error
        return connection

    def _give_back(self, connection: _Connection) -> None:
        if connection.usable:
            self._idle.append(connection)
        else:
            connection.close()

    async def keep_warm(self) -> None:
        """Hold connections ready for ever, so that a burst does not begin with handshakes."""
        reachable = True
        while True:
            self._drop_old()
            try:
                while len(self._idle) + self._busy < self._warm:
                    async with asyncio.timeout(_CONNECT_SECONDS):
                        self._give_back(await self._connect())
                reachable = True
            except (NotSent, TimeoutError) as error:
                if reachable:
                    _log.warning("insiders-api cannot be reached", error=str(error))
                reachable = False
            except Exception as error:  # noqa: BLE001 - nobody would begin it again
                _log.error("no connection held ready", exc_info=error)
            await asyncio.sleep(_RENEW_SECONDS)

    def _drop_old(self) -> None:
        # Replaced a little early: between two looks none is to grow too old for use.
        until = clock.monotonic() + _RENEW_SECONDS
        keep = [c for c in self._idle if c.usable and c.idle_until > until]
        for connection in set(self._idle).difference(keep):
            connection.close()
        self._idle.clear()
        self._idle.extend(keep)

    def close(self) -> None:
        """Close what is idle and what nobody may wait for; any other ends with its request."""
        while self._idle:
            self._idle.pop().close()
        for connection in self._started:
            connection.close()


class _Connection(asyncio.Protocol):
    """One connection, at most one request on it at a time."""

    def __init__(self, idle_seconds: float, body_limit: int) -> None:
        self._idle_seconds = idle_seconds
        self._body_limit = body_limit
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._reset(0)
        self.idle_until = clock.monotonic() + idle_seconds
        self._usable = True

    @property
    def usable(self) -> bool:
        """Return whether another request may be sent on it; not when its transport has begun to
        close."""
        return self._usable and self._transport is not None and not self._transport.is_closing()

    @property
    def ready(self) -> bool:
        """Return whether it is usable, and the other end does not close it in this moment."""
        return self.usable and self.idle_until > clock.monotonic()

    def _reset(self, first_byte_ns: int) -> None:
        self.first_byte_ns = first_byte_ns
        self._head_bytes = 0
        self._in_body = False
        self._ends_with_connection = True
        self._chunks: list[bytes] = []
        self._body_bytes = 0

    async def exchange(self, request: bytes) -> Answer:
        """Send and wait. Raises Unanswered; a cancelled exchange ends the connection."""
        answer = self.begin(request)
        try:
            return await answer
        finally:
            if answer.cancelled():
                self.close()

    def begin(self, request: bytes) -> asyncio.Future[Answer]:
        """Send; the answer to come, or Unanswered."""
        if self._transport is None:
            raise RuntimeError("a connection is used after it was made")
        self._answer = asyncio.get_running_loop().create_future()
        self._reset(clock.now_ns())
        try:
            self._transport.write(request)
        except RuntimeError as error:
            # A transport that is closed already; whoever began it learns it like any other end.
            self._fail(f"the connection is gone: {error}")
        return self._answer

    def give_up(self) -> None:
        """No answer came within the time."""
        self._fail("no whole answer within the time")

    def close(self) -> None:
        """End it; whatever was under way on it stays unanswered."""
        self._usable = False
        if self._transport is not None:
            self._transport.abort()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A part of an answer; anything that nobody asked for ends the connection."""
        if self._answer is None or self._answer.done():
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"not an HTTP answer: {error}")
            return
        if not self._in_body:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_LIMIT_BYTES:
                self._fail("a head without an end")

    def eof_received(self) -> bool:
        """End what the other end has finished: an answer without a length is whole now."""
        self._usable = False
        if self._in_body and self._ends_with_connection:
            self._finish()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._fail(f"the connection ended: {exc}" if exc else "the connection ended")

    # What the parser finds.

    def on_message_begin(self) -> None:
        """An answer after the answer: what belongs to what is not sure any more."""
        if self._answer is None or self._answer.done():
            self.close()
        self._ends_with_connection = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Where the answer ends, and how long the other end keeps the connection."""
        name = name.lower()
        if name in {b"content-length", b"transfer-encoding"}:
            self._ends_with_connection = False
        elif name == b"keep-alive":
            seconds = _keep_alive_seconds(value)
            if seconds is not None:
                self._idle_seconds = seconds

    def on_headers_complete(self) -> None:
        """From here on the bytes are the body's."""
        self._in_body = self._parser.get_status_code() >= 200

    def on_body(self, chunk: bytes) -> None:
        """A part of the body; more than the limit is not read."""
        self._chunks.append(chunk)
        self._body_bytes += len(chunk)
        if self._body_bytes > self._body_limit:
            self._finish()
            self.close()

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was an interim one."""
        if self._parser.get_status_code() < 200:
            return
        if not self._parser.should_keep_alive():
            self._usable = False
        self._finish()

    def _finish(self) -> None:
        if self._answer is None or self._answer.done():
            return
        self.idle_until = clock.monotonic() + self._idle_seconds
        self._answer.set_result(
            Answer(
                status=self._parser.get_status_code(),
                body=b"".join(self._chunks)[: self._body_limit + 1],
                first_byte_ns=self.first_byte_ns,
                answered_ns=clock.now_ns(),
            )
        )

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Unanswered(why, self.first_byte_ns))
        self.close()


def _keep_alive_seconds(value: bytes) -> float | None:
    """Return how long an idle connection may be used by a ``Keep-Alive`` header (RFC 2068,
    19.7.1.1).

    A second less than promised, for the way there; None when the header does not say.
    """
    for part in value.split(b","):
        name, _, number = part.strip().partition(b"=")
        if name.lower() == b"timeout" and number.isdigit() and len(number) < 7:
            return max(0.0, int(number) - 1.0)
    return None
