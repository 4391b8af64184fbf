"""A book: the market's levels and prints come in, our orders trade with them and each other.

The market's own orders are not moved by ours. What our takers took from a level stays taken until
the market prints as much there or the level empties; our resting orders are filled by prints that
reach their place in the queue, by prints beyond their price, by levels that cross them, and by our
own takers.
"""

from __future__ import annotations

from collections.abc import Iterable

from paper.matching.ladder import Ladder, Level, RestingOrder
from paper.matching.values import (
    Cancels,
    Event,
    NewOrder,
    OrderRemoved,
    OrderRested,
    Reason,
    Side,
    Trade,
    opposite,
)


class Book:
    """The book of one instrument."""

    def __init__(self, *, cancels: Cancels = "behind") -> None:
        self._cancels: Cancels = cancels
        self._sides = {"buy": Ladder("buy"), "sell": Ladder("sell")}
        self._resting: dict[int, RestingOrder] = {}
        self.touched: set[tuple[Side, int]] = set()
        """Sides and prices that changed; who publishes the book empties it."""

    # The market's side of it.

    def level(self, side: Side, price: int, size: int) -> list[Event]:
        """Take the market's size at a price, 0 for none; orders that it crosses are filled."""
        ladder = self._sides[side]
        if not size and price not in ladder.levels:
            return []
        level = ladder.at(price)
        level.reported(size, self._cancels)
        self.touched.add((side, price))
        events = self._cross(side, price, level) if self._resting else []
        ladder.tidy(price)
        return events

    def snapshot(
        self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]
    ) -> list[Event]:
        """Take the market's whole book, (price, size); levels not named are empty."""
        events: list[Event] = []
        sides: tuple[tuple[Side, dict[int, int]], ...] = (("buy", dict(bids)), ("sell", dict(asks)))
        for side, reported in sides:
            gone = [p for p, level in self._sides[side].levels.items() if level.market]
            for price in gone:
                if price not in reported:
                    events += self.level(side, price, 0)
        for side, reported in sides:
            for price, size in reported.items():
                events += self.level(side, price, size)
        return events

    def printed(self, taker_side: Side, price: int, size: int) -> list[Event]:
        """Take a trade of the market; it serves our orders that were to be served before it."""
        side = opposite(taker_side)
        ladder = self._sides[side]
        level = ladder.levels.get(price)
        if level is not None:
            level.printed += size
            level.taken = max(0, level.taken - size)
        if not self._resting:
            return []
        events: list[Event] = []
        for at, crossed in ladder.within(price):
            if not crossed.queue:
                continue
            if at != price:  # the print went beyond: nothing of the market was left here
                for waiting in crossed.queue:
                    waiting.ahead = 0
            for order, lots in crossed.consume(size):
                if order is not None:
                    events += self._fill(order, lots, taker=None)
                    size -= lots
            self._swept(side, at, crossed)
        return events

    # Our side of it.

    def place(self, order: NewOrder) -> list[Event]:
        """Match an order, then let what is left rest or leave. Sizes and prices are positive."""
        if order.kind == "post_only" and self._would_take(order):
            return [OrderRemoved(order.order_id, order.size, "post_only")]
        if order.kind == "fok" and self._reach(order) < order.size:
            return [OrderRemoved(order.order_id, order.size, "fok")]
        left, events, stopped = self._take(order)
        if stopped:
            return [*events, OrderRemoved(order.order_id, left, "self_trade")]
        if not left:
            return [*events, OrderRemoved(order.order_id, 0, "filled")]
        if order.kind in ("ioc", "fok", "market"):
            return [*events, OrderRemoved(order.order_id, left, order.kind)]
        return [*events, self._rest(order, left)]

    def cancel(self, order_id: int) -> OrderRemoved | None:
        """Take an order out; None when it does not rest here."""
        order = self._resting.get(order_id)
        if order is None:
            return None
        return self._remove(order, "cancelled")

    def amend(self, order_id: int, *, price: int | None = None, left: int) -> list[Event]:
        """Change a resting order so that `left` lots remain; less at the same price keeps its
        place. Raises KeyError when it does not rest here."""
        order = self._resting[order_id]
        if left <= 0:
            order.left = 0
            return [self._remove(order, "filled")]
        if price in (None, order.price) and left <= order.left:
            order.left = left
            self.touched.add((order.side, order.price))
            return [OrderRested(order_id, left, order.ahead)]
        self._remove(order, "cancelled")
        return self.place(
            NewOrder(
                order_id=order_id,
                owner=order.owner,
                side=order.side,
                kind=order.kind,
                size=left,
                price=order.price if price is None else price,
                self_trade=order.self_trade,
            )
        )

    # What there is.

    def best(self, side: Side) -> int | None:
        """The best price of a side, our orders included."""
        return self._sides[side].best()

    def reach(self, side: Side, size: int) -> int | None:
        """Return the price at which the last of so many lots would be had; None: none at all."""
        last: int | None = None
        for price, level in self._sides[side].within(None):
            if size <= 0:
                break
            if level.total > 0:
                last, size = price, size - level.total
        return last

    def shown(self, side: Side, price: int) -> tuple[int, int]:
        """Return what is shown in public at a price: lots, and orders (the market's as one)."""
        level = self._sides[side].levels.get(price)
        if level is None:
            return 0, 0
        return level.total, len(level.queue) + (level.free > 0)

    def depth(self, side: Side, levels: int) -> list[tuple[int, int, int]]:
        """The first levels of a side, best first: price, lots, number of orders."""
        found: list[tuple[int, int, int]] = []
        for price, level in self._sides[side].within(None):
            if len(found) == levels:
                break
            if level.total > 0:
                found.append((price, level.total, len(level.queue) + (level.free > 0)))
        return found

    @property
    def taken(self) -> bool:
        """Return whether our orders took what the market does not know of, at any level."""
        sides = self._sides.values()
        return any(level.taken for side in sides for level in side.levels.values())

    def ahead(self, order_id: int) -> int | None:
        """Lots of the market before a resting order; None when it does not rest here."""
        order = self._resting.get(order_id)
        return None if order is None else order.ahead

    def _take(self, order: NewOrder) -> tuple[int, list[Event], bool]:
        """Trade as far as price, size and budget allow: what is left, and whether an order of the
        same owner stopped it."""
        left, budget = order.size, order.budget
        events: list[Event] = []
        side = opposite(order.side)
        for price, level in self._sides[side].within(order.price):
            stopped = False
            while left and not stopped:
                desired = left if budget is None else min(left, budget // price)
                if not desired:
                    break
                own = level.first_of(order.owner)
                reach = desired if own is None else min(desired, level.before(own))
                got = self._serve(order, price, level, reach, events)
                left -= got
                budget = None if budget is None else budget - got * price
                if own is None or got == desired:
                    break
                if order.self_trade != "cancel_taker":
                    events.append(self._remove(own, "self_trade"))
                stopped = order.self_trade != "cancel_maker"
            self._swept(side, price, level)
            if stopped:
                return left, events, True
            if not left or (budget is not None and budget < price):
                break
        return left, events, False

    def _serve(
        self, order: NewOrder, price: int, level: Level, size: int, events: list[Event]
    ) -> int:
        """Fill a taker with `size` lots from the front of a level; lots it got."""
        got = 0
        for resting, lots in level.consume(size):
            got += lots
            if resting is None:
                level.taken += lots
                events.append(Trade(price, lots, order.side, order.order_id, None))
            else:
                events += self._fill(resting, lots, taker=order.order_id)
        return got

    def _reach(self, order: NewOrder) -> int:
        """Lots that the order would get."""
        found = 0
        for _, level in self._sides[opposite(order.side)].within(order.price):
            own = level.first_of(order.owner)
            if own is not None and order.self_trade != "cancel_maker":
                return found + level.before(own)
            found += level.total - sum(r.left for r in level.queue if r.owner == order.owner)
        return found

    def _would_take(self, order: NewOrder) -> bool:
        levels = self._sides[opposite(order.side)].within(order.price)
        return any(level.total > 0 for _, level in levels)

    def _rest(self, order: NewOrder, left: int) -> OrderRested:
        if order.price is None:
            raise ValueError("an order that rests has a price")
        level = self._sides[order.side].at(order.price)
        resting = RestingOrder(
            order_id=order.order_id,
            owner=order.owner,
            side=order.side,
            kind=order.kind,
            price=order.price,
            left=left,
            ahead=level.free,
            self_trade=order.self_trade,
        )
        level.queue.append(resting)
        self._resting[order.order_id] = resting
        self.touched.add((order.side, order.price))
        return OrderRested(order.order_id, left, resting.ahead)

    def _cross(self, side: Side, price: int, level: Level) -> list[Event]:
        """Fill our orders on the other side that the market's level crosses, at their prices."""
        events: list[Event] = []
        other = opposite(side)
        best = self._sides[other].best_key()
        if best is None or (best > price if other == "sell" else -best < price):
            return events
        for at, crossed in self._sides[other].within(price):
            for order in list(crossed.queue):
                lots = min(order.left, level.free)
                if lots <= 0:
                    return events
                level.taken += lots
                events += self._fill(order, lots, taker=None)
            self._swept(other, at, crossed)
        return events

    def _fill(self, order: RestingOrder, lots: int, *, taker: int | None) -> list[Event]:
        order.left -= lots
        trade = Trade(order.price, lots, opposite(order.side), taker, order.order_id)
        if order.left:
            return [trade]
        return [trade, OrderRemoved(order.order_id, 0, "filled")]

    def _swept(self, side: Side, price: int, level: Level) -> None:
        """Drop the filled orders of a level, and the level if it is empty."""
        self.touched.add((side, price))
        if any(not order.left for order in level.queue):
            for order in level.queue:
                if not order.left:
                    del self._resting[order.order_id]
            level.queue = [order for order in level.queue if order.left]
        self._sides[side].tidy(price)

    def _remove(self, order: RestingOrder, reason: Reason) -> OrderRemoved:
        level = self._sides[order.side].levels[order.price]
        level.queue.remove(order)
        del self._resting[order.order_id]
        self.touched.add((order.side, order.price))
        self._sides[order.side].tidy(order.price)
        return OrderRemoved(order.order_id, order.left, reason)
