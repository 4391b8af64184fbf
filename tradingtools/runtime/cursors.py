"""Cursors of streams that are kept in PostgreSQL: where a reader begins, and what it has committed.

Every servicer of such a stream answers both questions the same way.
"""

from __future__ import annotations

from typing import Protocol

from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.domain.errors import InvalidField
from tradingtools.v1 import common_pb2 as pb


class StreamRequest(Protocol):
    """What every request for a stream has."""

    @property
    def cursor(self) -> str:
        """Where to begin; empty: where the reader left off."""

    @property
    def consumer(self) -> str:
        """The reader's name; empty for an operator who tails."""


async def beginning(pool: Pool, stream: str, request: StreamRequest) -> int:
    """After which number a reader wants to go on; 0: from the beginning."""
    cursor = request.cursor
    if not cursor and request.consumer:
        cursor = await journal.acknowledged(pool, stream, request.consumer)
    return int(cursor or 0)


async def acknowledge(
    pool: Pool, stream: str, request: pb.AcknowledgeRequest
) -> pb.AcknowledgeResponse:
    """Remember a named reader's progress; durable when this returns.

    Raises:
        InvalidField: the cursor is not one of these streams.
    """
    if not (request.cursor.isascii() and request.cursor.isdigit()):
        raise InvalidField("cursor: expected a number", field="cursor", expected="a number")
    await journal.acknowledge(pool, stream, request.consumer, request.cursor)
    return pb.AcknowledgeResponse()
