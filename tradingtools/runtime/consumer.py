"""Taking messages from a stream so that neither a database restart nor a dead letter stops it.

A database that is away is waited for: the message is handled when it is back. A message that
itself cannot be handled is tried a bounded number of times, then quarantined with its reason, and
the stream moves on; ``python -m tradingtools.runtime.dead_letters`` lists and replays those.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import psycopg
import structlog
from google.protobuf.message import Message
from opentelemetry import metrics

from tradingtools.storage.postgres.lease import Fenced
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent.parent / "storage" / "postgres" / "dead_letters.sql")
_log = structlog.get_logger("consumer")
_quarantined = metrics.get_meter("tradingtools.consumer").create_counter(
    "quarantined", description="messages that could not be handled, by stream"
)

TRIES = 3
_PAUSE_SECONDS = 0.2
_REPLAY_SECONDS = 2.0

M = TypeVar("M", bound=Message)
T = TypeVar("T")


async def while_database_is_away(work: Callable[[], Awaitable[T]]) -> T:
    """Do something; when the database goes away under it, wait and do it again."""
    while True:
        try:
            return await work()
        except psycopg.OperationalError as error:
            _log.warning("waiting for the database", error=str(error).strip()[:200])
            await asyncio.sleep(_PAUSE_SECONDS)


def _describe(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(_describe(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


class Consumer(Generic[M]):
    """One reader's way of handling the messages of one stream.

    Args:
        pool: of the database that keeps the quarantine.
        stream: its name.
        consumer: the reader's name.
        kind: the protobuf type of its messages.
        handle: handles one message; raising means it could not, except for the database's errors.
    """

    def __init__(
        self,
        pool: Pool,
        stream: str,
        consumer: str,
        kind: type[M],
        handle: Callable[[M], Awaitable[None]],
    ) -> None:
        self._pool = pool
        self._stream = stream
        self._consumer = consumer
        self._kind = kind
        self._handle = handle
        # An alert on an increase does not see the first one of a series that was not there.
        _quarantined.add(0, {"stream": stream})

    async def take(self, message: M, cursor: str) -> None:
        """Handle a message or quarantine it; when this returns, the cursor may be acknowledged.

        Raises:
            Fenced: this process does not own its partition any more.
        """
        for remaining in reversed(range(TRIES)):
            try:
                await while_database_is_away(lambda: self._handle(message))
                return
            except Fenced:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is must not stop the stream
                _log.error(
                    "message not handled", stream=self._stream, cursor=cursor, tries_left=remaining,
                    exc_info=error,
                )  # fmt: skip
                reason = _describe(error)
            await asyncio.sleep(_PAUSE_SECONDS)
        await while_database_is_away(lambda: self._quarantine(message, cursor, reason))
        _quarantined.add(1, {"stream": self._stream})

    async def take_batch(self, messages: Sequence[tuple[M, str]]) -> None:
        """Handle messages, with their cursors, as if they were one; each alone if that fails.

        What is repeated in them adds (protobuf's merging), what is not is the last one's.

        Raises:
            Fenced: this process does not own its partition any more.
        """
        if len(messages) > 1:
            merged = self._kind()
            for message, _ in messages:
                merged.MergeFrom(message)
            try:
                await while_database_is_away(lambda: self._handle(merged))
                return
            except Fenced:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is must not stop the stream
                _log.error("messages not handled together", stream=self._stream, exc_info=error)
        for message, cursor in messages:
            await self.take(message, cursor)

    async def take_all(self, messages: Iterable[tuple[M, str]], lane: Callable[[M], str]) -> None:
        """Take messages with their cursors at the same time; those of one lane in turn.

        Raises:
            ExceptionGroup: of Fenced.
        """
        lanes: dict[str, list[tuple[M, str]]] = defaultdict(list)
        for message, cursor in messages:
            lanes[lane(message)].append((message, cursor))
        async with asyncio.TaskGroup() as group:
            for waiting in lanes.values():
                group.create_task(self._take_in_turn(waiting))

    async def _take_in_turn(self, messages: Iterable[tuple[M, str]]) -> None:
        for message, cursor in messages:
            await self.take(message, cursor)

    async def _quarantine(self, message: M, cursor: str, reason: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                _QUERIES["quarantine"],
                {
                    "stream": self._stream,
                    "consumer": self._consumer,
                    "cursor": cursor,
                    "reason": reason.replace("\x00", "\ufffd")[:2000],
                    "payload": message.SerializeToString(),
                },
            )

    async def replay(self) -> None:
        """Handle again, for ever, what operators ask for."""
        while True:
            await asyncio.sleep(_REPLAY_SECONDS)
            await while_database_is_away(self._replay_once)

    async def _replay_once(self) -> None:
        names = {"consumer": self._consumer, "stream": self._stream}
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_QUERIES["to_replay"], names)
            rows = await cursor.fetchall()
        for row in rows:
            message = self._kind()
            message.ParseFromString(row["payload"])
            await self.take(message, row["cursor"])
            async with self._pool.connection() as connection:
                await connection.execute(_QUERIES["replayed"], {"id": row["id"]})
