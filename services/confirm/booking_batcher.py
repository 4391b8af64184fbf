"""Book in batches: what comes while one batch is committed is the next one.

Before it: `worker`, `order_monitor`, `payouts` and `resolutions`, each with its own reason to book.
After it: the readers of bookings, who get them in the order of their commits.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from services.confirm import store
from services.confirm.bookings import load_bookings
from services.confirm.ledger import Smallest, unknown
from services.confirm.store import BookingResult, ReportedOrder
from tradingtools import clock
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.rpc.streams import Tail
from tradingtools.runtime import instruments
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as pb

_ends = instruments.counter(
    "tradingtools.confirm",
    "orders_ended",
    "by state and reason",
    [
        *instruments.each(state=(OrderState.CONFIRMED, OrderState.LOST), reason=("",)),
        *instruments.each(state=(OrderState.FAILED,), reason=map(str, Reason)),
    ],
)
_batches = instruments.Histogram(
    "booked_together", "orders of one transaction", bounds=instruments.COUNTS
)
_hop = instruments.Histogram(
    "order_hop_seconds",
    "confirm: answered to the booking after which nothing of the order is open",
    label="hop",
    values=("confirm",),
)
MAX = 200
"""Orders of one batch."""
_PAGE = 4 * MAX
"""Bookings that are published at once: those of a batch, as a rule."""
_CROWD = 50
"""Orders of one batch behind which more are to be expected."""
_CROWD_SECONDS = 1.0

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Waiting:
    reported: ReportedOrder
    done: asyncio.Future[BookingResult]
    since: float


class BookingBatcher:
    """Books one batch at a time and publishes it.

    Args:
        pool: of the deciding database.
        lease: the right to book; each batch checks it.
        tail: of bookings.
        smallest: of a market's orders, as far as it is known.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        tail: Tail[pb.FillEvent],
        smallest: Smallest = unknown,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._tail = tail
        self._smallest = smallest
        self._writing = asyncio.Lock()
        self._queue: deque[_Waiting] = deque()
        self._crowd_until = -math.inf
        self._listeners: list[Callable[[pb.FillEvent], None]] = []

    def listen(self, listener: Callable[[pb.FillEvent], None]) -> None:
        """Add a listener that gets each booking as it is published."""
        self._listeners.append(listener)

    @property
    def behind(self) -> bool:
        """Return whether answers wait, or a crowd's are on their way: what has time stands back."""
        return bool(self._queue) or clock.monotonic() < self._crowd_until

    def waited_ms(self) -> int:
        """Return how long the oldest answer has waited to be booked; 0: none waits."""
        return round((clock.monotonic() - self._queue[0].since) * 1000) if self._queue else 0

    async def take(self, reported: ReportedOrder) -> BookingResult:
        """Book what is reported of an order, together with whatever else waits.

        Raises:
            Fenced: somebody else books now.
            psycopg.OperationalError: the database went away; it may be booked or not.
            Exception: this order cannot be booked; those of its batch were.
        """
        future: asyncio.Future[BookingResult] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(reported, future, clock.monotonic())
        self._queue.append(waiting)
        try:
            # What comes in this very moment is one batch.
            await asyncio.sleep(0)
            # Whoever has the turn books for all who wait; the others find it done.
            while not waiting.done.done():
                async with self._writing:
                    if not waiting.done.done():
                        await self._book_next()
            return waiting.done.result()
        finally:
            if waiting in self._queue:
                self._queue.remove(waiting)

    async def write(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something else that books, in its turn, and publish it."""
        async with self._writing:
            result = await work()
            await self._publish()
            return result

    async def publish(self) -> None:
        """Publish what was committed without anybody hearing of it: its answer was lost."""
        async with self._writing:
            await self._publish()

    async def _book_next(self) -> None:
        batch = self._next()
        try:
            await self._book_some(batch)
        except BaseException:
            # Who booked for all is stopped; the others do it themselves.
            self._queue.extendleft(w for w in reversed(batch) if not w.done.done())
            raise

    async def _book_some(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._book(batch)
        except (Fenced, psycopg.OperationalError) as error:
            _fail(batch, error)
        except Exception:  # noqa: BLE001 - one that cannot be booked must not hold up the others
            for waiting in batch:
                await self._book_alone(waiting)

    async def _book_alone(self, waiting: _Waiting) -> None:
        try:
            await self._book([waiting])
        except Exception as error:  # noqa: BLE001 - it is raised where the order came from
            _fail([waiting], error)

    async def _book(self, batch: Sequence[_Waiting]) -> None:
        reported = [waiting.reported for waiting in batch]
        taken = await store.take(self._pool, self._lease, reported, clock.now_ns(), self._smallest)
        _batches.observe(len(batch))
        if len(batch) >= _CROWD:
            self._crowd_until = clock.monotonic() + _CROWD_SECONDS
        await self._publish()
        for waiting, each in zip(batch, taken, strict=True):
            if not waiting.done.done():
                waiting.done.set_result(each)

    def _next(self) -> list[_Waiting]:
        """Return the oldest that wait, each order once; what else is reported of it waits on."""
        batch: dict[str, _Waiting] = {}
        left: deque[_Waiting] = deque()
        while self._queue and len(batch) < MAX:
            waiting = self._queue.popleft()
            if waiting.reported.order_key in batch:
                left.append(waiting)
            else:
                batch[waiting.reported.order_key] = waiting
        self._queue.extendleft(reversed(left))
        return list(batch.values())

    async def _publish(self) -> None:
        """Hand every booking that is committed and not yet streamed to the readers."""
        while True:
            page = await load_bookings(self._pool, self._tail.last, _PAGE)
            for seq, fill in page:
                self._tail.append(seq, fill)
                for listener in self._listeners:
                    listener(fill)
                if fill.kind == pb.FILL_KIND_CLOSED:
                    _end(fill)
            if len(page) < _PAGE:
                return


def _end(fill: pb.FillEvent) -> None:
    """Take the end of an order."""
    state = common.OrderState.Name(fill.order_state).removeprefix("ORDER_STATE_")
    _ends.add(1, {"state": state, "reason": fill.reason})
    if state == OrderState.CONFIRMED and fill.answered_ns:
        _hop.observe_ns(fill.booked_ns - fill.answered_ns, "confirm", fill.traceparent)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)
