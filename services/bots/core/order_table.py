"""All orders of one bot by id and by slot, and what became due for them. Without I/O."""

from __future__ import annotations

from services.bots.core import orders
from services.bots.core.order_moves import Move, UnwrittenMoves
from services.bots.core.orders import BotOrder
from services.bots.core.requests import (
    ANSWER_WITHIN_MS,
    CANCEL_AGAIN_MS,
    DEADLINE_MS,
    POLL_AGAIN_MS,
    LookUp,
)
from services.bots.core.strategy import WorkingOrder
from tradingtools.domain.bot_order_states import ENDED, BotOrderState, PendingRequest
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import AT_ONCE, CancelOrder, Receipt

_UNDERWAY = (
    BotOrderState.INTENDED,
    BotOrderState.SUBMITTING,
    BotOrderState.OPEN,
    BotOrderState.PARTIALLY_FILLED,
)
_NO_ANSWER = Receipt(meaning=Meaning.UNKNOWN, code="NO_ANSWER")


class OrderTable:
    """The orders that are not let go of: those that are settled and written."""

    def __init__(self) -> None:
        self.orders: dict[str, BotOrder] = {}
        self.standing: dict[str, WorkingOrder] = {}
        """As the strategy sees them, by slot."""
        self._by_slot: dict[str, str] = {}
        self._slot_of: dict[str, str] = {}
        self._changed: set[str] = set()
        self._reported = UnwrittenMoves()
        self._cancelled_ms: dict[str, int] = {}
        self._cancelling_ms: dict[str, int] = {}
        """When the first and the last cancel of an order left."""
        self._looked_ms: dict[str, int] = {}

    @property
    def slots(self) -> tuple[str, ...]:
        """Return every slot that had an order."""
        return tuple(self._by_slot)

    @property
    def quiet(self) -> bool:
        """Return whether no order may fill, and all fills are booked."""
        return all(one.settled for one in self.orders.values())

    @property
    def underway(self) -> frozenset[str]:
        """Return the instruments of which an order is on its way or rests: its end is told."""
        orders_ = self.orders.values()
        return frozenset(one.order.instrument.id for one in orders_ if one.state in _UNDERWAY)

    @property
    def unchanged(self) -> bool:
        """Return whether nothing changed since `changes` was called last."""
        return not self._changed

    def slot_of(self, order_id: str) -> str:
        """Return the slot of an order that is here."""
        return self._slot_of[order_id]

    def last_of(self, slot: str) -> BotOrder | None:
        """Return the last order of a slot; None: there was none, or it is let go of."""
        return self.orders.get(self._by_slot.get(slot, ""))

    def unsettled(self) -> list[BotOrder]:
        """Return those that may fill, or have fills that are not booked."""
        return [one for one in self.orders.values() if not one.settled]

    def restore(self, slot: str, order: BotOrder) -> None:
        """Take back an order that was let go of; another may stand in its slot by now."""
        order_id = order.order.order_id
        self.orders[order_id] = order
        self._by_slot[f"late:{order_id}"] = order_id
        self._slot_of[order_id] = slot
        self._changed.add(order_id)

    def keep(self, slot: str, order: BotOrder, code: str = "") -> None:
        """Put a new order, or a new state of one with the code that told it, in its place."""
        order_id = order.order.order_id
        before = self.orders.get(order_id)
        if before is None:
            # What a former life left may share its slot with another order.
            last = self.last_of(slot)
            free = last is None or last.settled
            self._by_slot[slot if free else f"late:{order_id}"] = order_id
        self._reported.note(slot, before, order, code)
        self.orders[order_id] = order
        self._slot_of[order_id] = slot
        self._changed.add(order_id)
        if self._by_slot.get(slot) != order_id:
            return
        if order.settled:
            self.standing.pop(slot, None)
            return
        certain = order.pending is PendingRequest.NONE and order.state is not BotOrderState.UNKNOWN
        self.standing[slot] = WorkingOrder(
            slot=slot,
            order_id=order_id,
            instrument_id=order.order.instrument.id,
            side=order.order.side,
            price=order.price,
            # Of one that has ended, what it was filled by; a part of that may not be booked yet.
            size=order.filled + order.reserved if order.state in ENDED else order.size,
            filled=order.filled,
            certain=certain,
        )

    def moves(self) -> tuple[Move, ...]:
        """Return the transitions since the last call that people are told of."""
        return self._reported.take()

    def changes(self) -> tuple[tuple[str, BotOrder], ...]:
        """Return slot and order of what changed since the last call; let go of what is settled."""
        found = tuple((self._slot_of[one], self.orders[one]) for one in self._changed)
        self._changed.clear()
        for _, order in found:
            if order.settled:
                order_id = order.order.order_id
                slot = self._slot_of.pop(order_id)
                del self.orders[order_id]
                for key in (slot, f"late:{order_id}"):
                    if self._by_slot.get(key) == order_id:
                        del self._by_slot[key]
                self._cancelled_ms.pop(order_id, None)
                self._cancelling_ms.pop(order_id, None)
                self._looked_ms.pop(order_id, None)
        return found

    # ----------------------------------------------------------------------------------- requests

    def cancel(self, order: BotOrder, now_ms: int) -> CancelOrder | None:
        """Return the request that cancels an order; None: the last one left a moment ago."""
        order_id = order.order.order_id
        if now_ms - self._cancelled_ms.get(order_id, -CANCEL_AGAIN_MS) < CANCEL_AGAIN_MS:
            return None
        self._cancelled_ms[order_id] = now_ms
        self._cancelling_ms.setdefault(order_id, now_ms)
        self.keep(self._slot_of[order_id], orders.cancelling(order))
        return named(order, now_ms)

    def cancels(self, now_ms: int) -> list[CancelOrder]:
        """Return the requests that cancel all that may fill."""
        found = []
        for order in self.unsettled():
            if order.state in ENDED or order.state is BotOrderState.INTENDED:
                continue
            if order.order.time_in_force in AT_ONCE:
                continue
            one = self.cancel(order, now_ms)
            if one is not None:
                found.append(one)
        return found

    def look_ups(self, now_ms: int) -> list[LookUp]:
        """Return the questions that are due for orders of which nothing is known."""
        found = []
        for order_id, order in self.orders.items():
            if not self._doubtful(order, now_ms):
                continue
            if now_ms - self._looked_ms.get(order_id, -POLL_AGAIN_MS) >= POLL_AGAIN_MS:
                self._looked_ms[order_id] = now_ms
                found.append(LookUp(named(order, now_ms)))
        return found

    def look_at(self, instrument_id: str, now_ms: int) -> list[LookUp]:
        """Return a question for each order of an instrument that may fill."""
        found = []
        for order in self.unsettled():
            new = order.order
            if new.instrument.id == instrument_id and order.state is not BotOrderState.INTENDED:
                self._looked_ms[new.order_id] = now_ms
                found.append(LookUp(named(order, now_ms)))
        return found

    def _doubtful(self, order: BotOrder, now_ms: int) -> bool:
        """Return whether only reading can tell where an order stands."""
        if order.state in (BotOrderState.UNKNOWN, BotOrderState.RESURRECTED):
            return True
        if order.state in ENDED or order.state is BotOrderState.DEAD:
            return False
        new = order.order
        silent = new.not_after_ms + ANSWER_WITHIN_MS
        if new.time_in_force in AT_ONCE and now_ms > silent:
            return True
        # A cancel that has to be repeated is one whose end nobody has told.
        first = self._cancelling_ms.get(new.order_id)
        return first is not None and now_ms > first + DEADLINE_MS + ANSWER_WITHIN_MS

    def give_up_waiting(self, now_ms: int) -> None:
        """Call a request UNKNOWN whose answer nobody brings any more."""
        for order_id, order in list(self.orders.items()):
            request, deadline = self._awaited(order)
            if deadline is not None and now_ms > deadline + ANSWER_WITHIN_MS:
                after = orders.answered(order, request, _NO_ANSWER)
                self.keep(self._slot_of[order_id], after, _NO_ANSWER.code)

    def _awaited(self, order: BotOrder) -> tuple[PendingRequest, int | None]:
        if order.state is BotOrderState.SUBMITTING:
            return PendingRequest.PLACE, order.order.not_after_ms
        if order.pending is PendingRequest.AMEND and order.change is not None:
            return PendingRequest.AMEND, order.change.not_after_ms
        if order.pending is PendingRequest.CANCEL:
            return PendingRequest.CANCEL, self._cancelled_ms[order.order.order_id] + DEADLINE_MS
        return PendingRequest.NONE, None


def named(order: BotOrder, now_ms: int) -> CancelOrder:
    """Return an order's names, for a cancel or a look-up."""
    return CancelOrder(
        order_id=order.order.order_id,
        venue_order_id=order.venue_order_id,
        instrument=order.order.instrument,
        not_after_ms=now_ms + DEADLINE_MS,
    )
