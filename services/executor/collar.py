"""Holds back what would leave at a limit far off the market.

Before it: the worker, with what is about to leave. An entry beyond the collar is refused. An exit
waits for the book to come near it, a short time in all for what one wallet sells of one outcome,
and then leaves at any price: the collar keeps nobody in. What is held stays CLAIMED, so a crash
meanwhile leaves it to be found again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial

import structlog
from opentelemetry import metrics

from services.executor.core.collar import Quote, beyond
from services.executor.quotes import Quotes
from tradingtools.adapters import clock
from tradingtools.domain.order import Order, Purpose

_log = structlog.get_logger("executor.collar")
_met = metrics.get_meter("tradingtools.executor").create_counter(
    "collar", description="orders beyond the collar, by what became of them"
)
_LOOK_SECONDS = 0.1
_AT_ANY_PRICE_MS = 60_000
"""So long what follows an exit that has waited does not wait again."""
_REMEMBERED = 10_000

_Lot = tuple[str, str]


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
        self._since: OrderedDict[_Lot, int] = OrderedDict()
        """Since when exits of a wallet and outcome have been held."""
        self._looking: set[asyncio.Task[None]] = set()

    def outside(self, orders: Iterable[Order]) -> dict[str, Order]:
        """Those that are to be held, by key, as far as is known without asking."""
        quotes: dict[str, Quote | None] = {}
        found: dict[str, Order] = {}
        for order in orders:
            asset_id = order.asset_id
            if asset_id not in quotes:
                quotes[asset_id] = self._quotes.known(asset_id)
            quote = quotes[asset_id]
            if quote is None or beyond(order, quote, self._bound) is None:
                continue
            if order.order_key not in self._cleared and not self._has_waited(order):
                found[order.order_key] = order
        return found

    def hold(self, order: Order, leave: Callable[[], None], refuse: Callable[[str], None]) -> None:
        """Look closely at an order that is outside.

        Args:
            order: that does not leave now.
            leave: called when it may after all.
            refuse: called with why it may not.
        """
        task = asyncio.create_task(self._look(order, leave, refuse))
        self._looking.add(task)
        task.add_done_callback(partial(self._looked, order, leave))

    async def _look(
        self, order: Order, leave: Callable[[], None], refuse: Callable[[str], None]
    ) -> None:
        lot = _lot(order)
        while True:
            quote = await self._quotes.ask(order.asset_id)
            why = None if quote is None else beyond(order, quote, self._bound)
            if why is None:
                self._since.pop(lot, None)
                break
            if order.purpose is Purpose.ENTRY:
                _met.add(1, {"what": "entry refused"})
                _log.warning("an entry is beyond the collar", order=order.order_key, why=why)
                refuse(why)
                return
            since_ms = self._since.setdefault(lot, clock.monotonic_ms())
            left_ms = since_ms + self._wait_ms - clock.monotonic_ms()
            if left_ms <= 0:
                _met.add(1, {"what": "exit left"})
                _log.error("an exit leaves beyond the collar", alert=True,
                           order=order.order_key, why=why)  # fmt: skip
                break
            await asyncio.sleep(min(_LOOK_SECONDS, left_ms / 1000))
        self._clear(order)
        leave()

    def _looked(self, order: Order, leave: Callable[[], None], task: asyncio.Task[None]) -> None:
        self._looking.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Nobody can tell: it is no worse than without a collar, and must not be lost.
            _log.error("the collar's look ended", order=order.order_key, exc_info=error)
            self._clear(order)
            leave()

    def _has_waited(self, order: Order) -> bool:
        since_ms = self._since.get(_lot(order))
        if since_ms is None or order.purpose is Purpose.ENTRY:
            return False
        over_ms = clock.monotonic_ms() - since_ms - self._wait_ms
        if over_ms > _AT_ANY_PRICE_MS:
            del self._since[_lot(order)]
        return 0 <= over_ms <= _AT_ANY_PRICE_MS

    def _clear(self, order: Order) -> None:
        self._cleared[order.order_key] = None
        while len(self._cleared) > _REMEMBERED:
            self._cleared.popitem(last=False)
        while len(self._since) > _REMEMBERED:
            self._since.popitem(last=False)


def _lot(order: Order) -> _Lot:
    return order.follower.proxy, order.asset_id
