"""The life of one resting order, from intent to its end. Pure.

Requests are lost, late, repeated and overtaken; a fill may come before the acknowledgement, and may
be undone. So every message is folded in by what it proves: fills by their ids, the size told as
filled by its maximum, an end for ever. What could still fill stays reserved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tradingtools.domain.bot_order_states import (
    ENDED,
    FOR_OPERATORS,
    LEGAL,
    BotOrderState,
    PendingRequest,
)
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AT_ONCE,
    AmendOrder,
    Fill,
    NewOrder,
    OrderReport,
    OrderStatus,
    Receipt,
    RestingTime,
    TradingCapabilities,
)

NOT_FOUNDS_NEEDED = 3
NOT_FOUND_SPACING_MS = 2_000
"""Answers that came closer together count once."""
LATE_ARRIVAL_MS = 600_000
"""Longest way of a request to a venue that does not enforce a deadline."""

_S = BotOrderState
_P = PendingRequest


class OrderError(ValueError):
    """A step that the protocol does not allow: a defect of the caller, never of the venue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotOrder:
    """One order as its engine knows it. Sizes and prices in the instrument's units."""

    order: NewOrder
    bot_id: str
    epoch: int
    """Of the lease under which it was sent."""
    state: BotOrderState = _S.INTENDED
    pending: PendingRequest = _P.NONE
    price: int
    size: int
    """As the venue has confirmed them; before that, as they are asked for."""
    spends: bool = False
    """It is filled for its money, ``size`` at ``price``: at better prices that is more."""
    change: AmendOrder | None = None
    """The amend under way, or one that was not answered."""
    venue_order_id: str = ""
    fills: Mapping[str, int] = field(default_factory=dict)
    """Sizes of the fills that stand, by trade."""
    undone: Mapping[str, int] = field(default_factory=dict)
    """Sizes of the fills whose settlement failed."""
    reported_filled: int = 0
    """The largest size that the venue told as filled."""
    not_founds: int = 0
    not_found_ms: int = 0
    unread: bool = False
    """Its owner has it from its row alone: a change may have left that nobody has written."""
    breach: str = ""
    """Contradiction of an end, for a person; empty: there is none."""

    @property
    def filled(self) -> int:
        """Return the size of all fills that stand."""
        return sum(self.fills.values())

    @property
    def largest_size(self) -> int:
        """Return the size up to which it may fill, a change under way included."""
        return max(self.size, (self.change.size if self.change else None) or 0)

    @property
    def max_filled(self) -> int:
        """Return the size that it could fill at the best of all prices."""
        most = self.largest_size
        return most * self.price // self.order.instrument.tick_size if self.spends else most

    @property
    def worst_prices(self) -> tuple[int, ...]:
        """Return the limits at which it may fill."""
        changed = self.change.price if self.change else None
        return (self.price,) if changed is None else (self.price, changed)

    @property
    def reserved(self) -> int:
        """Return the size that may still be filled, or is filled and not booked."""
        if self.state in ENDED:
            return max(self.reported_filled - self.filled - sum(self.undone.values()), 0)
        return max(self.largest_size - self.filled, 0)

    @property
    def settled(self) -> bool:
        """Return whether nothing is expected of it any more."""
        return self.state in ENDED and self.reserved == 0


def intend(
    order: NewOrder, *, bot_id: str, epoch: int, able: TradingCapabilities | None = None
) -> BotOrder:
    """Return a new order of which no byte has left.

    Args:
        order: as it will be sent.
        bot_id: of its bot.
        epoch: of the lease.
        able: what its venue can do; None: nothing out of the ordinary.
    """
    taking = order.side == "BUY" and order.time_in_force in AT_ONCE
    return BotOrder(
        order=order,
        bot_id=bot_id,
        epoch=epoch,
        price=order.price,
        size=order.size,
        spends=able is not None and able.taking_buys_spend and taking,
    )


def sending(order: BotOrder) -> BotOrder:
    """Return it as SUBMITTING, which is durable or covered by a permit before the byte leaves.

    Raises:
        OrderError: it was sent before.
    """
    if order.state is not _S.INTENDED:
        raise OrderError(f"{order.order.order_id} is {order.state}: an order is placed once")
    return _moved(order, _S.SUBMITTING, pending=_P.PLACE)


def cancelling(order: BotOrder) -> BotOrder:
    """Return it with a cancel under way; a cancel may be repeated, and follows an amend.

    Raises:
        OrderError: it has ended, or was never sent.
    """
    if order.state in ENDED or order.state is _S.INTENDED:
        raise OrderError(f"{order.order.order_id} is {order.state}: there is nothing to cancel")
    return replace(order, pending=_P.CANCEL)


def amending(order: BotOrder, change: AmendOrder) -> BotOrder:
    """Return it with a change under way, which reserves the greater of both sizes.

    Raises:
        OrderError: it does not rest, another request is under way, or its last change is unknown.
    """
    if order.state not in (_S.OPEN, _S.PARTIALLY_FILLED):
        raise OrderError(f"{order.order.order_id} is {order.state}: it does not rest")
    if order.pending is not _P.NONE or order.change is not None:
        raise OrderError(f"{order.order.order_id} has a request under way: {order.pending}")
    return replace(order, pending=_P.AMEND, change=change)


def answered(order: BotOrder, request: PendingRequest, receipt: Receipt) -> BotOrder:
    """Fold the answer to a request in."""
    if receipt.venue_order_id and not order.venue_order_id:
        order = replace(order, venue_order_id=receipt.venue_order_id)
    if request is _P.PLACE:
        return _placed(order, receipt)
    if order.pending is request and receipt.meaning is not Meaning.ACCEPTED:
        order = replace(order, pending=_P.NONE)
    if request is _P.AMEND and receipt.meaning in (Meaning.REJECTED, Meaning.NOT_ACCEPTED):
        order = replace(order, change=None)
    # An accepted cancel or amend was received, no more: it is under way until a report tells.
    return order


def _placed(order: BotOrder, receipt: Receipt) -> BotOrder:
    if order.pending is _P.PLACE:
        order = replace(order, pending=_P.NONE)
    if order.state is not _S.SUBMITTING:
        refused = receipt.meaning in (Meaning.REJECTED, Meaning.NOT_ACCEPTED)
        if refused and order.state is _S.UNKNOWN and not _evidence(order):
            return _moved(order, _S.REJECTED)
        return order
    if receipt.meaning is Meaning.ACCEPTED:
        return _moved(order, _S.OPEN)
    if receipt.meaning is Meaning.UNKNOWN or _evidence(order):
        return _moved(order, _S.UNKNOWN)
    return _moved(order, _S.REJECTED)


def _booked(order: BotOrder) -> int:
    return order.filled + sum(order.undone.values())


def _evidence(order: BotOrder) -> bool:
    return bool(order.fills or order.undone or order.reported_filled)


def orphaned(order: BotOrder) -> BotOrder:
    """Return it as a new owner finds it: what was under way is unknown."""
    order = replace(order, unread=True)
    if order.state is _S.SUBMITTING:
        return _moved(order, _S.UNKNOWN, pending=_P.NONE)
    return replace(order, pending=_P.NONE)


_LIFE = {
    OrderStatus.OPEN: _S.OPEN,
    OrderStatus.PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
    OrderStatus.FILLED: _S.FILLED,
    OrderStatus.CANCELLED: _S.CANCELLED,
    OrderStatus.EXPIRED: _S.EXPIRED,
    OrderStatus.REJECTED: _S.REJECTED,
}


def reported(order: BotOrder, report: OrderReport, *, read_ms: int = 0) -> BotOrder:
    """Fold the venue's own word in; nothing that it tells changes an end that was told.

    Args:
        order: which one.
        report: by the socket, or read.
        read_ms: when the question left, if it was read: an answer from after the last instant of a
            change tells what became of it.
    """
    order = replace(
        order,
        venue_order_id=order.venue_order_id or report.venue_order_id,
        reported_filled=max(order.reported_filled, report.filled_size),
        not_founds=0,
    )
    target = _LIFE[report.status]
    if order.state in ENDED:
        return _after_the_end(order, target, report)
    order = _as_confirmed(order, report, read_ms)
    if target is _S.REJECTED and (_evidence(order) or order.state is not _S.UNKNOWN):
        target = _S.UNKNOWN if order.state is _S.SUBMITTING else order.state
    if target is _S.OPEN and order.filled:
        target = _S.PARTIALLY_FILLED
    if target in ENDED:
        order = replace(order, pending=_P.NONE, change=None, price=report.price, size=report.size)
    return _moved(order, target)


def _as_confirmed(order: BotOrder, report: OrderReport, read_ms: int) -> BotOrder:
    change = order.change
    if change is None:
        if not (order.unread and read_ms):
            return order
        return replace(order, unread=False, price=report.price, size=report.size)
    named = report.request_id == change.request_id
    if not named and read_ms <= change.not_after_ms:
        return order
    pending = _P.NONE if order.pending is _P.AMEND else order.pending
    order = replace(order, change=None, pending=pending)
    if read_ms:
        order = replace(order, unread=False)
    return order if named and report.code else replace(order, price=report.price, size=report.size)


def _after_the_end(order: BotOrder, target: BotOrderState, report: OrderReport) -> BotOrder:
    never_was = order.state in (_S.LOST, _S.REJECTED)
    if order.state is _S.REJECTED and target is _S.CANCELLED and not order.reported_filled:
        # Polymarket refuses an order that finds nobody to match, and tells it as cancelled, too.
        return order
    if never_was and target is not _S.REJECTED:
        breach = f"the venue tells {report.status} of what was {order.state}"
        order = replace(_moved(order, _S.RESURRECTED), breach=breach)
        return reported(order, report) if target in ENDED else order
    return order


def filled(order: BotOrder, fill: Fill) -> BotOrder:
    """Book a fill once, or undo it once; whichever of the two comes first."""
    fills = dict(order.fills)
    if fill.undone:
        fills.pop(fill.trade_id, None)
        order = replace(order, fills=fills, undone={**order.undone, fill.trade_id: fill.size})
        if order.state is _S.PARTIALLY_FILLED and not fills:
            order = _moved(order, _S.OPEN)
        return order
    if fill.trade_id in fills or fill.trade_id in order.undone:
        return order
    fills[fill.trade_id] = fill.size
    order = replace(order, fills=fills, not_founds=0)
    if order.state in (_S.LOST, _S.REJECTED):
        order = _moved(order, _S.RESURRECTED)
        return replace(order, breach=f"fill {fill.trade_id} of what was ended without one")
    if order.state in (_S.CANCELLED, _S.EXPIRED) and _booked(order) > order.reported_filled:
        order = _moved(order, _S.RESURRECTED)
        return replace(order, breach=f"fill {fill.trade_id} is beyond what its end told")
    if order.filled > order.max_filled and not order.unread:
        order = replace(order, breach=f"fill {fill.trade_id} is more than was ordered")
    if order.state in (_S.SUBMITTING, _S.OPEN, _S.UNKNOWN, _S.DEAD):
        order = _moved(order, _S.PARTIALLY_FILLED)
    return order


def settled_as(order: BotOrder, size: int) -> BotOrder:
    """Return it as an operator has found it to be: filled to a size, and ended.

    What is not booked of that size stays reserved until it is.

    Raises:
        OrderError: its venue may still tell, or it cannot have filled that much.
    """
    if order.state not in FOR_OPERATORS:
        raise OrderError(f"{order.order.order_id} is {order.state}: nobody has to settle it")
    if not order.filled <= size <= order.max_filled:
        raise OrderError(f"{order.order.order_id} has filled {order.filled} at least")
    if size >= order.largest_size:
        target = _S.FILLED
    else:
        target = _S.CANCELLED if size or order.state is _S.RESURRECTED else _S.REJECTED
    total = size + sum(order.undone.values())
    order = replace(order, reported_filled=total, change=None, size=order.largest_size)
    return _moved(order, target)


def last_arrival_ms(order: BotOrder, capabilities: TradingCapabilities) -> int:
    """Return the instant after which nothing can come of the order's place any more."""
    new = order.order
    if capabilities.not_after:
        return new.not_after_ms + capabilities.horizon_ms
    if new.time_in_force is RestingTime.GTD and new.expires_ms is not None:
        return new.expires_ms + capabilities.horizon_ms
    return new.not_after_ms + LATE_ARRIVAL_MS + capabilities.horizon_ms


def not_found(
    order: BotOrder,
    capabilities: TradingCapabilities,
    *,
    requested_ms: int,
    clock_error_ms: int = 0,
) -> BotOrder:
    """Fold in that the venue, asked at that instant, knows no such order.

    Args:
        order: which one.
        capabilities: what its venue promises.
        requested_ms: when the question left, milliseconds since the epoch.
        clock_error_ms: how far our clock may be from the venue's.
    """
    if order.state in (_S.OPEN, _S.PARTIALLY_FILLED):
        order = _moved(order, _S.UNKNOWN, pending=_P.NONE)
    if order.state is not _S.UNKNOWN:
        return order
    certain = last_arrival_ms(order, capabilities) + clock_error_ms
    if requested_ms <= certain or requested_ms < order.not_found_ms + NOT_FOUND_SPACING_MS:
        return order
    known_for = capabilities.found_for_ms
    if known_for is not None and requested_ms > order.order.not_after_ms + known_for:
        return _moved(order, _S.DEAD)
    order = replace(order, not_founds=order.not_founds + 1, not_found_ms=requested_ms)
    if order.not_founds < NOT_FOUNDS_NEEDED:
        return order
    if not _seen(order):
        return _moved(order, _S.LOST)
    if capabilities.rests_for_ms is not None:
        # It was there once, and nothing rests for so long: what it filled is what was told.
        return _moved(order, _S.EXPIRED)
    # It was there once: an answer that denies it decides nothing.
    return _moved(order, _S.DEAD)


def _seen(order: BotOrder) -> bool:
    return bool(order.venue_order_id) or _evidence(order)


def _moved(
    order: BotOrder, target: BotOrderState, *, pending: PendingRequest | None = None
) -> BotOrder:
    pending = order.pending if pending is None else pending
    if target in ENDED:
        pending = _P.NONE
    if target is order.state:
        return replace(order, pending=pending)
    if (order.state, target) not in LEGAL:
        # An older message than what is known: it proves nothing new.
        return order
    return replace(order, state=target, pending=pending)
