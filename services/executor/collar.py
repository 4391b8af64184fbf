"""Hold back orders whose limit is far off the market.

An entry beyond the collar is refused. An exit waits until the book comes near it; what one wallet
sells of one outcome waits a bounded time in all, and is then sent at any price. A held order stays
CLAIMED, so that it is found again after a crash.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import structlog

from services.executor.core.collar import Quote, beyond
from services.executor.quotes import Quotes
from tradingtools import clock
from tradingtools.domain.order import Order, Purpose
from tradingtools.runtime import instruments

_log = structlog.get_logger("executor.collar")
_met = instruments.counter(
    "tradingtools.executor",
    "collar",
    "orders beyond the collar, by what became of them",
    instruments.each(what=("entry refused", "exit left")),
)
_FIRST_POLL_SECONDS = 0.02
"""Until the second look; it doubles."""
_POLL_SECONDS = 0.1
_AT_ANY_PRICE_MS = 60_000
"""So long what exits have waited counts for those that follow, however often the book has come near
meanwhile."""
_REMEMBERED = 10_000

_Lot = tuple[str, str]
Leave = Callable[[int], None]


@dataclass(slots=True)
class _Wait:
    """The wait of a wallet's exits from an outcome, in all. Milliseconds."""

    held: int = 0
    """Exits that are held now."""
    since_ms: int = 0
    """The start of the present hold, or the end of the last one."""
    before_ms: int = 0
    """Time that others have waited before."""

    def in_all(self, now_ms: int) -> int:
        return self.before_ms + (now_ms - self.since_ms if self.held else 0)

    def begin(self, now_ms: int) -> None:
        if not self.held:
            self.since_ms = now_ms
        self.held += 1

    def end(self, now_ms: int) -> None:
        self.held -= 1
        if not self.held:
            self.before_ms += now_ms - self.since_ms
            self.since_ms = now_ms

    def is_over(self, now_ms: int) -> bool:
        return not self.held and now_ms - self.since_ms > _AT_ANY_PRICE_MS


class Collar:
    """The collar of one executor.

    Args:
        quotes: best prices.
        bound_micros: how far beyond them a limit may be, USDC micros a share.
        wait_ms: how long an exit waits at the most.
    """

    def __init__(self, quotes: Quotes, bound_micros: int, wait_ms: int) -> None:
        self._quotes = quotes
        self._bound = bound_micros
        self._wait_ms = wait_ms
        self._cleared: OrderedDict[str, None] = OrderedDict()
        """Keys of orders that were looked at closely and may leave."""
        self._waits: OrderedDict[_Lot, _Wait] = OrderedDict()
        self._looking: set[asyncio.Task[None]] = set()

    def outside(self, orders: Iterable[Order]) -> dict[str, Order]:
        """Return the orders to be held, by key, as far as known quotes tell."""
        quotes: dict[str, Quote | None] = {}
        found: dict[str, Order] = {}
        for order in orders:
            asset_id = order.asset_id
            if asset_id not in quotes:
                quotes[asset_id] = self._quotes.known(asset_id)
            quote = quotes[asset_id]
            why = None if quote is None else beyond(order, quote, self._bound)
            if why is None or order.order_key in self._cleared:
                continue
            if self._has_waited(order):
                _log_collar(order, why)
            else:
                found[order.order_key] = order
        return found

    def hold(self, order: Order, leave: Leave, refuse: Callable[[str], None]) -> None:
        """Look closely at an order that is outside.

        Args:
            order: that does not leave now.
            leave: called when it may after all, with the nanoseconds that it had to wait.
            refuse: called with why it may not.
        """
        task = asyncio.create_task(self._poll(order, leave, refuse))
        self._looking.add(task)
        task.add_done_callback(partial(self._looked, order, leave))

    async def _poll(self, order: Order, leave: Leave, refuse: Callable[[str], None]) -> None:
        waited_ns = 0
        if order.purpose is Purpose.ENTRY:
            why = await self._objection(order)
            if why is not None:
                _met.add(1, {"what": "entry refused"})
                _log.warning("an entry is beyond the collar", order=order.order_key, why=why)
                refuse(why)
                return
        else:
            waited_ns = await self._wait(order)
        self._clear(order)
        leave(waited_ns)

    async def _objection(self, order: Order) -> str | None:
        quote = await self._quotes.quote(order.asset_id)
        return None if quote is None else beyond(order, quote, self._bound)

    async def _wait(self, order: Order) -> int:
        """Hold an exit until the book has come near it, or what it sells has waited long enough;
        return for how many nanoseconds."""
        wait, pause, since_ns = self._wait_of(order), _FIRST_POLL_SECONDS, clock.monotonic_ns()
        held = False
        wait.begin(clock.monotonic_ms())
        try:
            while (why := await self._objection(order)) is not None:
                left_ms = self._wait_ms - wait.in_all(clock.monotonic_ms())
                if left_ms <= 0:
                    _log_collar(order, why)
                    break
                held = True
                await asyncio.sleep(min(pause, left_ms / 1000))
                pause = min(2 * pause, _POLL_SECONDS)
        finally:
            wait.end(clock.monotonic_ms())
        return clock.monotonic_ns() - since_ns if held else 0

    def _wait_of(self, order: Order) -> _Wait:
        lot = _lot(order)
        wait = self._waits.get(lot)
        if wait is None or wait.is_over(clock.monotonic_ms()):
            wait = self._waits[lot] = _Wait()
        self._waits.move_to_end(lot)
        return wait

    def _looked(self, order: Order, leave: Leave, task: asyncio.Task[None]) -> None:
        self._looking.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Nobody can tell: it is no worse than without a collar, and must not be lost.
            _log.error("the collar's look ended", order=order.order_key, exc_info=error)
            self._clear(order)
            leave(0)

    def _has_waited(self, order: Order) -> bool:
        wait, now_ms = self._waits.get(_lot(order)), clock.monotonic_ms()
        if wait is None or order.purpose is Purpose.ENTRY or wait.is_over(now_ms):
            return False
        return wait.in_all(now_ms) >= self._wait_ms

    def _clear(self, order: Order) -> None:
        self._cleared[order.order_key] = None
        while len(self._cleared) > _REMEMBERED:
            self._cleared.popitem(last=False)
        while len(self._waits) > _REMEMBERED:
            self._waits.popitem(last=False)


def _log_collar(order: Order, why: str) -> None:
    """Call a person: an exit leaves beyond the collar."""
    _met.add(1, {"what": "exit left"})
    _log.error("an exit leaves beyond the collar", alert=True, order=order.order_key, why=why)


def _lot(order: Order) -> _Lot:
    return order.follower.proxy, order.asset_id
