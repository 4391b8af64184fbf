"""Cursors of streams that are kept in PostgreSQL: where a reader begins, and what it has committed.

Every servicer of such a stream answers both questions the same way. A cursor that nobody can have
been sent is believed nowhere: what lies before it would be passed over for good.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog

from tradingtools.domain.errors import InvalidField
from tradingtools.rpc.streams import BEGINNING, Tail
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as pb

_log = structlog.get_logger("cursors")


class StreamRequest(Protocol):
    """The fields of every request for a stream."""

    @property
    def cursor(self) -> str:
        """Return where to begin; empty: where the reader left off."""

    @property
    def consumer(self) -> str:
        """Return the reader's name; empty for an operator who tails."""


class Cursors:
    """The readers of one stream.

    Args:
        pool: of the deciding database.
        stream: its name there.
        tail: what the readers follow.
        newest: queries the database for the newest number that a reader can know otherwise, when
            that may be beyond the stream's own.
    """

    def __init__(
        self,
        pool: Pool,
        stream: str,
        tail: Tail[Any],
        *,
        newest: Callable[[Pool], Awaitable[int]] | None = None,
    ) -> None:
        self._pool = pool
        self._stream = stream
        self._tail = tail
        self._newest = newest
        # Whatever a predecessor has sent was committed before this process began.
        self._started_at = tail.last
        self._sent: dict[str, int] = {}

    async def beginning(self, request: StreamRequest) -> int:
        """After which number a reader wants to go on; 0: from the beginning."""
        if request.cursor and await self._can_be(int(request.cursor)):
            return int(request.cursor)
        known = int(BEGINNING)
        if request.consumer:
            known = await self._acknowledged(request.consumer)
        if request.cursor:
            _log.error("a reader's cursor is beyond all that was sent; read again", alert=True,
                       stream=self._stream, consumer=request.consumer, cursor=request.cursor,
                       read_from=known)  # fmt: skip
        return known

    def sent(self, request: StreamRequest, cursor: int) -> None:
        """Note up to where a named reader was sent the stream."""
        if request.consumer:
            self._sent[request.consumer] = max(cursor, self._sent.get(request.consumer, 0))

    async def acknowledge(self, request: pb.AcknowledgeRequest) -> pb.AcknowledgeResponse:
        """Remember a named reader's progress; durable when this returns.

        Raises:
            InvalidField: the cursor is not one of this stream, or this reader was not sent it.
        """
        if not (request.cursor.isascii() and request.cursor.isdigit()):
            raise InvalidField("cursor: expected a number", field="cursor", expected="a number")
        sent = max(self._started_at, self._sent.get(request.consumer, 0))
        if int(request.cursor) > sent:
            _log.error("a cursor that was never sent is acknowledged; refused", alert=True,
                       stream=self._stream, consumer=request.consumer, cursor=request.cursor,
                       sent=sent)  # fmt: skip
            raise InvalidField(
                "cursor: was not sent to this reader", field="cursor", expected=f"at most {sent}"
            )
        await journal.acknowledge(self._pool, self._stream, request.consumer, request.cursor)
        return pb.AcknowledgeResponse()

    async def _acknowledged(self, consumer: str) -> int:
        cursor = await journal.acknowledged(self._pool, self._stream, consumer) or BEGINNING
        if await self._can_be(int(cursor)):
            return int(cursor)
        # What was there before is overwritten: all of it is read again, which changes nothing.
        await journal.begin_again(self._pool, self._stream, consumer)
        _log.error("an acknowledged cursor is beyond all that was sent; read again", alert=True,
                   stream=self._stream, consumer=consumer, cursor=cursor,
                   read_from=BEGINNING)  # fmt: skip
        return int(BEGINNING)

    async def _can_be(self, cursor: int) -> bool:
        if cursor <= self._tail.last:
            return True
        return self._newest is not None and cursor <= await self._newest(self._pool)
