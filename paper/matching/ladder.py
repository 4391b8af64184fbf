"""One side of a book: price levels, best first, each with the market's size and our queue."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from paper.matching.values import Cancels, Kind, SelfTrade, Side


class RestingOrder:
    """An order of ours that waits; `ahead` is how much of the market is served before it."""

    __slots__ = ("ahead", "kind", "left", "order_id", "owner", "price", "self_trade", "side")

    def __init__(
        self,
        *,
        order_id: int,
        owner: str,
        side: Side,
        kind: Kind,
        price: int,
        left: int,
        ahead: int,
        self_trade: SelfTrade,
    ) -> None:
        self.order_id = order_id
        self.owner = owner
        self.side = side
        self.kind = kind
        self.price = price
        self.left = left
        self.ahead = ahead
        self.self_trade = self_trade


class Level:
    """A price level. `taken` is what our takers took and the market does not know of."""

    __slots__ = ("market", "printed", "queue", "taken")

    def __init__(self) -> None:
        self.market = 0
        self.taken = 0
        self.printed = 0
        """Prints since the market's size was last told."""
        self.queue: list[RestingOrder] = []

    @property
    def free(self) -> int:
        """Return the part of the market's size that nobody took."""
        return self.market - self.taken

    @property
    def total(self) -> int:
        """Return the size shown in public: the market's and our orders'."""
        return self.market - self.taken + sum(order.left for order in self.queue)

    def first_of(self, owner: str) -> RestingOrder | None:
        """The owner's order that is served first; None without one."""
        return next((r for r in self.queue if r.owner == owner and r.left), None)

    def before(self, order: RestingOrder) -> int:
        """Lots that are served before an order of this level."""
        return order.ahead + sum(r.left for r in self.queue[: self.queue.index(order)])

    def reported(self, size: int, cancels: Cancels) -> None:
        """Take the market's new size; our orders' places move up by what left before them."""
        unexplained = max(0, self.market - size - self.printed)
        if unexplained and cancels == "proportional":
            for order in self.queue:
                order.ahead -= unexplained * order.ahead // self.market
        self.market = size
        self.taken = min(self.taken, size)
        self.printed = 0
        for order in self.queue:
            order.ahead = min(order.ahead, self.free)

    def consume(self, size: int) -> list[tuple[RestingOrder | None, int]]:
        """Serve `size` from the front: (order, lots), None for the market's own.

        Nothing is changed but the orders' places; who calls books what was served.
        """
        served: list[tuple[RestingOrder | None, int]] = []
        market = 0
        for order in self.queue:
            before = min(size, max(0, order.ahead - market))
            if before:
                served.append((None, before))
                market += before
                size -= before
            order.ahead = max(0, order.ahead - market)
            mine = min(size, order.left)
            if mine:
                served.append((order, mine))
                size -= mine
        behind = min(size, self.free - market)
        if behind > 0:
            served.append((None, behind))
        return served


class Ladder:
    """The levels of one side; keys ascend from the best price."""

    __slots__ = ("_keys", "_sign", "levels")

    def __init__(self, side: Side) -> None:
        self._sign = -1 if side == "buy" else 1
        self._keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def at(self, price: int) -> Level:
        """The level of a price, new if there is none."""
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = Level()
            insort(self._keys, self._sign * price)
        return level

    def tidy(self, price: int) -> None:
        """Forget a level on which nothing is left."""
        level = self.levels.get(price)
        if level is not None and not level.market and not level.queue:
            del self.levels[price]
            del self._keys[bisect_left(self._keys, self._sign * price)]

    def within(self, limit: int | None) -> Iterator[tuple[int, Level]]:
        """Levels from the best one as far as `limit`; they may be changed while it runs."""
        last = None if limit is None else self._sign * limit
        for key in list(self._keys) if last is None else self._keys[: self._upto(last)]:
            price = self._sign * key
            level = self.levels.get(price)
            if level is not None:
                yield price, level

    def best(self) -> int | None:
        """The best price at which anything can be had."""
        for key in self._keys:
            if self.levels[self._sign * key].total > 0:
                return self._sign * key
        return None

    def best_key(self) -> int | None:
        """The key of the first level, whatever stands there."""
        return self._keys[0] if self._keys else None

    def _upto(self, key: int) -> int:
        at = bisect_left(self._keys, key)
        return at + 1 if at < len(self._keys) and self._keys[at] == key else at
