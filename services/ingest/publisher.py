"""Publish facts to the stream at once, and to the log in Redis right behind.

A crash between the two loses the entry, not the trade: the next start's catch-up tells it again.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import islice, takewhile
from operator import itemgetter

import structlog
from google.protobuf.message import DecodeError
from redis.exceptions import RedisError

from services.ingest import metrics
from services.ingest.core.merge import Fact
from services.ingest.core.sequence import (
    HIGHEST,
    at_or_above,
    cursor_ms,
    entry_id,
    from_entry_id,
    next_cursor,
)
from tradingtools import clock
from tradingtools.domain import errors
from tradingtools.rpc.streams import Tail
from tradingtools.storage.redis.leader_log import LeaderLog, StaleWrite
from tradingtools.v1 import common_pb2, ingest_service_pb2

_PENDING_MAX = 50_000
_BATCH = 500
_RETRY_SECONDS = 0.2
_CHECK_SECONDS = 1.0
_AHEAD_MS = 60_000
"""By which a predecessor's clock may have been ahead."""
_log = structlog.get_logger("ingest")

Event = ingest_service_pb2.LeaderTradeEvent
_SIDES = {"BUY": common_pb2.SIDE_BUY, "SELL": common_pb2.SIDE_SELL}
_ACTIONS = {
    "TRADE": ingest_service_pb2.LEADER_ACTION_TRADE,
    "MERGE": ingest_service_pb2.LEADER_ACTION_MERGE,
    "REDEEM": ingest_service_pb2.LEADER_ACTION_REDEEM,
    "CONVERSION": ingest_service_pb2.LEADER_ACTION_CONVERSION,
}
_SOURCES = {
    "FEED": ingest_service_pb2.TRADE_SOURCE_FEED,
    "CATCH_UP": ingest_service_pb2.TRADE_SOURCE_CATCH_UP,
}


class IncarnationLost(Exception):
    """The log in Redis is another one, or an older copy; the process has to start afresh."""


class Publisher:
    """Owns the cursors. Readers follow `tail`."""

    def __init__(self, log: LeaderLog, incarnation: str, last: int) -> None:
        self._log = log
        self._incarnation = incarnation
        # Whatever was published and is not known to be written, but for what was dropped.
        self._pending: deque[tuple[int, bytes]] = deque()
        self._dropped_to = 0
        self._started_at = self._written_to = last
        self._work = asyncio.Event()
        self._readers: dict[str, int] = {}
        self._streams: Counter[str] = Counter()
        self.tail: Tail[Event] = Tail(self._started_at, self._load)
        self.lost: Callable[[int], None] = lambda _: None
        """Called when a reader passes over what was dropped: since when, milliseconds."""

    def resume(self, cursor: int) -> int:
        """Return where a reader goes on that has read up to a cursor.

        Nobody knows one that a predecessor has given and not written. When the clock was set back
        since, what is given now is below it: its reader goes on from where this process began. One
        that is ahead of the clock may be anybody's: its reader begins again.
        """
        if self.tail.knows(cursor):
            return cursor
        if cursor_ms(cursor) <= clock.now_ms() + _AHEAD_MS:
            return self._started_at
        _log.error("a reader's cursor is ahead of the clock; all of the log is read again",
                   alert=True, cursor=entry_id(cursor))  # fmt: skip
        return 0

    def was_sent(self, cursor: int, newest: int) -> bool:
        """Return whether a cursor may have been sent, by a predecessor or up to ``newest`` by us.

        What a predecessor has given and not written is refused as well: it is published again.
        """
        return cursor <= max(self._started_at, newest)

    def reads(self, consumer: str, cursor: int) -> None:
        """Note that a named reader opened a stream, and has handled all up to a cursor."""
        self._streams[consumer] += 1
        self._readers[consumer] = max(cursor, self._readers.get(consumer, 0))

    def handled(self, consumer: str, cursor: int) -> None:
        """Note that a named reader has handled all up to a cursor."""
        if consumer in self._readers:
            self._readers[consumer] = max(cursor, self._readers[consumer])

    def left(self, consumer: str) -> None:
        """Note that a stream of a named reader has ended."""
        self._streams[consumer] -= 1
        if not self._streams[consumer]:
            self._readers.pop(consumer, None)

    def read_to(self) -> int | None:
        """Return up to where every named reader has handled what was published to it; None: there
        is none."""
        return min(self._readers.values(), default=None)

    def publish(self, facts: Iterable[Fact], received_ns: int) -> None:
        """Hand facts to the readers, in order, all at once."""
        now_ms = clock.now_ms()
        for fact in facts:
            event = to_event(fact, received_ns)
            cursor = next_cursor(self.tail.last, now_ms)
            self.tail.append(cursor, event)
            metrics.EVENTS.add(1, {"source": fact.source})
            metrics.DELAY.observe_ns((now_ms - fact.row.traded_ms) * 1_000_000, fact.source)
            if len(self._pending) >= _PENDING_MAX:
                self._dropped_to, _ = self._pending.popleft()
                metrics.LOG_LOST.add(1)
            self._pending.append((cursor, event.SerializeToString()))
        self._work.set()

    async def write_log(self) -> None:
        """Append to Redis what was published, for ever; while it is away, entries wait."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._pending:
                batch = list(islice(self._pending, _BATCH))
                try:
                    try:
                        await self._log.append([(entry_id(cursor), body) for cursor, body in batch])
                    except StaleWrite:
                        await self._rise_above()
                        continue
                except RedisError as error:
                    _log.warning("log in Redis not written; trying again", error=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                self._written(batch[-1][0])

    async def _rise_above(self) -> None:
        """Tell what a newer entry keeps from being written again, under cursors that rise above it.

        A fact that is published twice changes nothing.
        """
        top = at_or_above(await self._log.top())
        if top is None:
            await _lower(self._log)
            return
        overtaken = list(takewhile(lambda entry: entry[0] <= top, self._pending))
        _log.error("somebody else writes to the log of leader trades", alert=True,
                   newest=entry_id(top), republished=len(overtaken))  # fmt: skip
        for _ in overtaken:
            self._pending.popleft()
        for _, body in overtaken:
            cursor = next_cursor(max(self.tail.last, top), clock.now_ms())
            self.tail.append(cursor, Event.FromString(body))
            self._pending.append((cursor, body))

    def _written(self, last: int) -> None:
        # Entries may have been pushed out at the front while the batch was under way.
        self._written_to = last
        while self._pending and self._pending[0][0] <= last:
            self._pending.popleft()

    async def watch_incarnation(self) -> None:
        """Look once a second whether the log is still the same one, with all that was written.

        Raises:
            IncarnationLost: it is not. A new start has its catch-up tell again what is gone; a log
                that was lost as a whole gets a new name then, so that its readers start afresh.
        """
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            written_to = self._written_to
            try:
                present, last = await self._log.present_incarnation(), await self._log.last()
            except RedisError:
                continue  # away is not lost; `write_log` says so already
            if present != self._incarnation:
                raise IncarnationLost(f"expected {self._incarnation}, found {present}")
            reached = at_or_above(last)
            if reached is not None and reached < written_to:
                # A replica that was behind has been promoted.
                raise IncarnationLost(f"its newest entry is {last}, but {entry_id(written_to)} was")

    async def _load(self, after: int, limit: int) -> list[tuple[int, Event]]:
        """Load from the log, then from what is yet to be written: the tail is ahead of both.

        Raises:
            CursorOutOfRange: the log begins later: its reader was away, or slow, for too long.
            Unavailable: what is wanted first is in the log alone, and Redis is away.
        """
        # Taken before Redis is asked: what it gets meanwhile is in both, and nothing in neither.
        waiting, dropped_to = self._waiting(after, limit), self._dropped_to
        written = await self._from_log(after, limit) if after < self._written_to else {}
        page = sorted((written | waiting).items())[:limit]
        if page and after < dropped_to < page[-1][0]:
            _log.error("a reader passes over leader trades that were dropped", alert=True,
                       after=entry_id(after), dropped_to=entry_id(dropped_to))  # fmt: skip
            self.lost(cursor_ms(after))
        return [(cursor, _event(cursor, body)) for cursor, body in page]

    def _waiting(self, after: int, limit: int) -> dict[int, bytes]:
        start = bisect_right(self._pending, after, key=itemgetter(0))
        return dict(islice(self._pending, start, start + limit))

    async def _from_log(self, after: int, limit: int) -> dict[int, bytes]:
        try:
            found = await self._read_log(after, limit)
            # Behind the reading: what is cut while it is read would be passed over.
            cut = after and await self._log.was_cut(entry_id(after))
        except RedisError as error:
            raise errors.Unavailable(
                "the log of leader trades is away", dependency="redis", retry_after_ms="500"
            ) from error
        if cut:
            raise errors.CursorOutOfRange("cursor: the log begins later", cursor=entry_id(after))
        return found

    async def _read_log(self, after: int, limit: int) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        reached = entry_id(after)
        while len(found) < limit:
            entries = await self._log.load(reached, limit)
            forged = [entry for entry, body in entries if body is None]
            if forged:
                _log.error("entries of the log in Redis are not ours; passed over", alert=True,
                           entries=len(forged), first=forged[0])  # fmt: skip
            for reached, body in entries:
                if body is None:
                    continue
                try:
                    found[from_entry_id(reached)] = body
                except ValueError:
                    _log.error("an entry of the log has an id of nobody's; passed over", id=reached)
            if len(entries) < limit:
                break
        return found


async def newest(log: LeaderLog) -> int:
    """Return the cursor of the newest entry; 0 when there is none. Raises RedisError."""
    cursor = at_or_above(await log.last())
    while cursor is None:
        await _lower(log)
        cursor = at_or_above(await log.last())
    return cursor


async def _lower(log: LeaderLog) -> None:
    """Take out what no cursor rises above: while it is there, nothing can be written."""
    removed = await log.remove_above(HIGHEST)
    _log.error("entries of the log in Redis are of nobody's time; taken out", alert=True,
               entries=removed)  # fmt: skip


def _event(cursor: int, payload: bytes) -> Event:
    """Return an entry of the log; what is none becomes an empty one, which its readers set
    aside."""
    try:
        return Event.FromString(payload)
    except DecodeError:
        _log.error("an entry of the log in Redis cannot be read", entry=entry_id(cursor))
        return Event()


def to_event(fact: Fact, received_ns: int) -> Event:
    """Return the wire form of a fact."""
    row = fact.row
    return Event(
        leader_tx=row.tx,
        leader=row.leader,
        asset_id=row.asset_id,
        condition_id=row.condition_id,
        side=_SIDES[row.side],
        price_micros=row.price_micros,
        price_text=row.price_text,
        size_micros=row.size_micros,
        count=fact.count,
        source=_SOURCES[fact.source],
        traded_ms=row.traded_ms,
        received_ns=received_ns,
        leader_held_before_micros=fact.held_before,
        traceparent=fact.traceparent,
        title=row.title,
        outcome=row.outcome,
        action=_ACTIONS[row.action],
        leader_equity_micros=fact.equity,
    )
