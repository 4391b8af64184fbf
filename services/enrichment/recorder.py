"""Writes what happens into our own tables of the analytical store.

Events and decisions are read from where they are durable, after the last one that the store has: a
store that is away, slow or new is caught up with, and nothing is lost. Marks and books are nowhere
else: they wait in memory, and what there is no room for is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
import structlog
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from services.enrichment import store
from services.enrichment.core import recording
from services.enrichment.core.recording import EventRow, LeaderTradeRow
from services.enrichment.source import QUERIES
from tradingtools.domain.errors import CursorOutOfRange, Unavailable
from tradingtools.domain.money import AmountError
from tradingtools.rpc import streams
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.runtime.instruments import counter
from tradingtools.storage.analytics.port import Store, WrongTypes
from tradingtools.storage.postgres.pool import Pool
from tradingtools.tasks import until_one_ends
from tradingtools.v1 import event_service_pb2 as pb

_FLUSH_SECONDS = 1.0
_PAUSE_SECONDS = 2.0
"""Before a store that was away is asked again."""
_WAITING = 5_000
"""Events that are read ahead of a store that is slow."""
_CLAIMS = 200
_log = structlog.get_logger("enrichment.recorder")
_UNREADABLE = counter(
    "tradingtools.enrichment", "analytics_unreadable", "Events whose data could not be read"
)
_behind = 0
T = TypeVar("T")


def _observe(_: CallbackOptions) -> list[Observation]:
    return [Observation(_behind)]


metrics.get_meter("tradingtools.enrichment").create_observable_gauge(
    "analytics_events_behind",
    [_observe],
    description="Events that were read of the log and that the analytical store does not have yet",
)


class _Number(msgspec.Struct, frozen=True):
    number: int


class _Price(msgspec.Struct, frozen=True):
    size_micros: int
    price_micros: int
    count: int


class Recorder:
    """One writer of our own tables.

    Args:
        analytics: where they are.
        stub: of the log of events.
        pool: of the deciding database.
        on_trade: called with each new trade of a leader.
        on_position: called when a position was opened or closed.
    """

    def __init__(
        self,
        analytics: Store,
        stub: Any,
        pool: Pool,
        on_trade: Callable[[LeaderTradeRow], None],
        on_position: Callable[[], None],
    ) -> None:
        self._analytics = analytics
        self._stub = stub
        self._pool = pool
        self._on_trade = on_trade
        self._on_position = on_position
        self._waiting: deque[EventRow] = deque()
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._decided = asyncio.Event()
        self._decided.set()
        self._trades: dict[tuple[str, str, str, str], dict[tuple[int, int], int]] = {}

    async def run(self) -> None:
        """Record for ever."""
        last = await self._patiently(lambda: self._last("last_event"))
        await until_one_ends(self._read(last), self._write(), self._decisions())

    async def _last(self, query: str) -> int:
        (row,) = await self._analytics.rows(QUERIES[query], {}, _Number)
        return row.number

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something; where the store does not answer, wait and do it again."""
        while True:
            try:
                return await work()
            except (Unavailable, WrongTypes) as error:
                _log.warning("waiting for the analytical store", error=str(error)[:200])
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _read(self, last: int) -> None:
        def opened(cursor: str) -> Any:
            return self._stub.StreamEvents(pb.StreamEventsRequest(cursor=cursor))

        while True:
            try:
                async for response in streams.read("events", opened, str(last)):
                    self._waiting.extend(map(_row, response.events))
                    if response.events:
                        self._some.set()
                    self._measure()
                    if len(self._waiting) >= _WAITING:
                        self._room.clear()
                        await self._room.wait()
            except CursorOutOfRange:
                _log.error("the analytical store is that of another log; nothing is recorded",
                           alert=True, cursor=last)  # fmt: skip
                await asyncio.sleep(60)

    def _measure(self) -> None:
        """Tell how far the store is behind what was read; the stream reads ahead of it."""
        global _behind  # noqa: PLW0603
        _behind = len(self._waiting)

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            rows = list(self._waiting)
            await self._patiently(lambda rows=rows: self._insert(rows))  # type: ignore[misc]
            for _ in rows:
                self._waiting.popleft()
            self._measure()
            self._room.set()
            self._log_progress(rows)
            await asyncio.sleep(_FLUSH_SECONDS)

    async def _insert(self, rows: Sequence[EventRow]) -> None:
        trades: dict[tuple[str, ...], LeaderTradeRow] = {}
        fills: list[recording.FillRow] = []
        for row in rows:
            try:
                if row.type == recording.TRADES:
                    trade = recording.leader_trade(row)
                    trades[_key(trade)] = trade
                    self._remember(trade)
                elif row.type in recording.FILLS:
                    fill = recording.fill(row)
                    if fill is not None:
                        fills.append(await self._beside(fill))
            except (msgspec.DecodeError, AmountError) as error:
                _UNREADABLE.add(1)
                _log.error("an event cannot be read", number=row.number, error=str(error))
        await self._analytics.insert("leader_trades", list(trades.values()))
        await self._analytics.insert("fills", fills)
        # Last: the newest of them says where to go on.
        await self._analytics.insert("events", rows)

    def _remember(self, trade: LeaderTradeRow) -> None:
        key = (trade.leader, trade.leader_tx, trade.asset_id, trade.side)
        known = self._trades.pop(key, {})
        known[trade.size_micros, trade.price_micros] = trade.count
        self._trades[key] = known
        if len(self._trades) > _WAITING:
            del self._trades[next(iter(self._trades))]

    async def _beside(self, fill: recording.FillRow) -> recording.FillRow:
        """A fill with the leader's price, if it is known."""
        if not fill.leader_tx:
            return fill
        known = self._trades.get((fill.leader, fill.leader_tx, fill.asset_id, fill.side))
        if known is not None:
            rows = [(size, price, count) for (size, price), count in known.items()]
        else:
            values = {
                "leader": fill.leader, "tx": fill.leader_tx, "asset": fill.asset_id,
                "side": fill.side,
            }  # fmt: skip
            found = await self._analytics.rows(QUERIES["leader_price"], values, _Price)
            rows = [(row.size_micros, row.price_micros, row.count) for row in found]
        return recording.with_slippage(fill, rows)

    def _log_progress(self, rows: Sequence[EventRow]) -> None:
        for row in rows:
            if row.type == recording.TRADES:
                try:
                    self._on_trade(recording.leader_trade(row))
                except (msgspec.DecodeError, AmountError):
                    continue
            if row.type.startswith(("leader.", "copy.", "order.")):
                self._decided.set()
            if row.type in ("position.opened", "position.closed"):
                self._on_position()

    async def _decisions(self) -> None:
        after = await self._patiently(lambda: self._last("last_decision"))
        while True:
            await self._decided.wait()
            self._decided.clear()
            while found := await while_database_is_away(
                lambda after=after: store.claims(self._pool, after, _CLAIMS)  # type: ignore[misc]
            ):
                rows = [d for c in found for d in recording.decisions(c.seq, c.at, c.payload)]
                await self._patiently(
                    lambda rows=rows: self._analytics.insert("decisions", rows)  # type: ignore[misc]
                )
                after = found[-1].seq
            await asyncio.sleep(_FLUSH_SECONDS)


def _key(trade: LeaderTradeRow) -> tuple[str, ...]:
    at = (f"{trade.size_micros}", f"{trade.price_micros}")
    return trade.leader, trade.leader_tx, trade.asset_id, trade.side, *at


def _row(event: pb.Event) -> EventRow:
    return EventRow(
        number=event.sequence,
        id=event.id,
        type=event.type,
        subject=event.subject,
        at_ms=event.time.ToMilliseconds(),
        traceparent=event.traceparent,
        data=event.data,
    )
