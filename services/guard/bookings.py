"""Order the bookings that wait: new positions first, those of a lot in sequence.

Before it: confirm's stream. After it: `worker`, through the consumer, and the acknowledgement,
called only of what is handled without a gap. Positions that begin go first: what guards a new one
is not known before its booking is handled, and would wait for all sales of a crowd.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

import structlog

from services.guard.core.trigger import LotKey
from tradingtools.domain.reasons import Reason
from tradingtools.domain.trigger_types import MANUAL
from tradingtools.rpc import streams
from tradingtools.runtime.consumer import Consumer, while_database_is_away
from tradingtools.tasks import until_one_ends
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as pb

_log = structlog.get_logger("guard.bookings")
MAX = 10_000
"""Bookings that wait; more are read once some are handled."""
BEGINNING = 100
"""Lots with positions that begin, whose triggers one statement reads."""
OTHERS = 10
"""Lots that have a turn between those: who begins meanwhile waits for them."""

Prefetch = Callable[[Sequence[pb.FillEvent]], Awaitable[None]]


def lot_of_booking(fill: pb.FillEvent) -> LotKey:
    """Return the lot that a booking has changed."""
    return fill.follower_proxy, fill.asset_id, fill.subscription_id or MANUAL


def begins(fill: pb.FillEvent) -> bool:
    """Return whether a position may begin with a booking: bought, with its lot below the order's
    size before: it was empty, short of what came undone, or held no more than what cannot be
    sold; or adopted."""
    if fill.kind == pb.FILL_KIND_CORRECTED:
        return fill.reason == Reason.ADOPTED and fill.size_micros < 0
    before = fill.lot_shares_micros - fill.size_micros
    opens = fill.side == common.SIDE_BUY and before < fill.order_size_micros
    return opens and fill.lot_shares_micros > 0 and fill.kind == pb.FILL_KIND_MATCHED


@dataclass(slots=True)
class _Response:
    cursor: str
    left: int
    """Bookings of it that are not handled."""


class Bookings:
    """Bookings that wait to be handled.

    Args:
        consumer: handles a booking or quarantines it.
        prefetch: called with positions that begin, before their bookings are handled.
        handled: called with a cursor when everything up to it is handled.
    """

    def __init__(
        self,
        consumer: Consumer[pb.FillEvent],
        prefetch: Prefetch,
        handled: Callable[[str], None],
    ) -> None:
        self._consumer = consumer
        self._prefetch = prefetch
        self._handled = handled
        self._lots: dict[LotKey, list[tuple[pb.FillEvent, _Response]]] = {}
        self._beginning: dict[LotKey, None] = {}
        self._responses: deque[_Response] = deque()
        self._waiting = 0
        self._come, self._room = asyncio.Event(), asyncio.Event()

    async def put(self, response: pb.StreamFillsResponse) -> None:
        """Have the bookings of a response handled; waits for room only."""
        while self._waiting >= MAX:
            self._room.clear()
            await self._room.wait()
        if not response.fills:
            return
        of = _Response(response.cursor, len(response.fills))
        self._responses.append(of)
        self._waiting += of.left
        for fill in response.fills:
            key = lot_of_booking(fill)
            self._lots.setdefault(key, []).append((fill, of))
            if begins(fill):
                self._beginning[key] = None
        self._come.set()

    async def run(self) -> None:
        """Handle what comes, for ever. Raises Fenced: the lease is not valid any more."""
        while True:
            await self._come.wait()
            self._come.clear()
            while self._lots:
                await self._take(list(islice(self._beginning, BEGINNING)))
                await self._take(list(islice(self._lots, OTHERS)))
                # Bookings of lots without triggers ask the database nothing.
                await asyncio.sleep(0)

    async def _take(self, keys: Iterable[LotKey]) -> None:
        """Handle what waits of some lots."""
        lots = [self._lots.pop(key) for key in keys]
        for of_lot in lots:
            self._beginning.pop(lot_of_booking(of_lot[0][0]), None)
        # Not behind others of the lot: these are not to meet the triggers of what comes later.
        await self._publish(
            [f for of_lot in lots for f in takewhile(begins, (f for f, _ in of_lot))]
        )
        taken = [each for of_lot in lots for each in of_lot]
        for fill, response in taken:
            await self._consumer.take(fill, str(fill.fill_seq))
            self._waiting -= 1
            response.left -= 1
        self._room.set()
        reached = ""
        while self._responses and not self._responses[0].left:
            reached = self._responses.popleft().cursor
        if reached:
            self._handled(reached)

    async def _publish(self, beginning: Sequence[pb.FillEvent]) -> None:
        if not beginning:
            return
        try:
            await while_database_is_away(lambda: self._prefetch(beginning))
        except Exception as error:  # noqa: BLE001 - whatever it is, one alone must not stop all
            _log.error("positions that begin are read one by one", exc_info=error)


async def follow_fills(
    consumer: Consumer[pb.FillEvent],
    stub: Any,
    name: str,
    cursor: str,
    prefetch: Prefetch,
    handled: Callable[[int], None],
) -> None:
    """Have each booking after a cursor handled, for ever.

    Args:
        consumer: handles a booking or quarantines it.
        stub: of confirm.
        name: of the reader.
        cursor: where to start.
        prefetch: called with positions that begin.
        handled: called with a number when all bookings up to it are handled.
    """
    async with streams.acknowledging(stub, name) as acknowledge:

        def reached(cursor: str) -> None:
            handled(int(cursor))
            acknowledge(cursor)

        bookings = Bookings(consumer, prefetch, reached)

        async def read() -> None:
            opened = streams.read(
                "fills",
                lambda c: stub.StreamFills(pb.StreamFillsRequest(cursor=c, consumer=name)),
                cursor,
            )
            async for response in opened:
                await bookings.put(response)

        await until_one_ends(bookings.run(), read())
