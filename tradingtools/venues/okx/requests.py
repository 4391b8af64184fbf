"""Orders and settings that are sent to OKX, as values: fields, limits, deadline. Pure.

Orders go over REST or over the socket; both have the same fields, but a socket names an instrument
by its code. Every order carries our tag, and a deadline that the venue itself keeps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from tradingtools.domain.instrument import InstrumentKind
from tradingtools.venues.okx import numbers
from tradingtools.venues.okx.instruments import Listing
from tradingtools.venues.okx.limits import Charge, Scope
from tradingtools.venues.trading import AmendOrder, CancelOrder, NewOrder, RestingTime

MAX_IN_BATCH = 20
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_TAG = re.compile(r"[A-Za-z0-9]{1,16}")
_ORDER_TYPES = {RestingTime.GTC: "limit", RestingTime.IOC: "ioc", RestingTime.FOK: "fok"}
Fields = dict[str, str | int | bool]


class RequestError(ValueError):
    """A request that is not sent, since the venue would refuse it; the text names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestRequest:
    """One request over REST."""

    method: str
    path: str
    """With its query."""
    body: bytes = b""
    signed: bool = True
    charges: tuple[Charge, ...]
    not_after_ms: int | None = None
    """`expTime`, by the venue's clock; None: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOperation:
    """One operation over the private socket."""

    op: str
    args: tuple[Fields, ...]
    charges: tuple[Charge, ...]
    not_after_ms: int | None = None

    def encode(self, number: str) -> str:
        """Return the frame. ``number`` is ours: letters and digits, at most 32."""
        frame: dict[str, object] = {"id": number, "op": self.op, "args": list(self.args)}
        if self.not_after_ms is not None:
            frame["expTime"] = str(self.not_after_ms)
        return msgspec.json.encode(frame).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The choices of one wallet that its orders carry."""

    tag: str
    """Ours: letters and digits, at most 16."""
    margin: str = "cross"
    """Of contracts: cross or isolated. Spot is paid in cash."""

    def __post_init__(self) -> None:
        """Check both. Raises ValueError."""
        if not _TAG.fullmatch(self.tag):
            raise ValueError("the tag must be 1 to 16 letters and digits")
        if self.margin not in ("cross", "isolated"):
            raise ValueError("margin must be cross or isolated")


def place_fields(order: NewOrder, terms: Terms) -> Fields:
    """Return the fields of a new order but for its instrument. Raises RequestError."""
    instrument = order.instrument
    kind = _ORDER_TYPES.get(order.time_in_force)
    if kind is None:
        raise RequestError(f"time_in_force {order.time_in_force} is not known to OKX")
    if order.post_only:
        if order.time_in_force is not RestingTime.GTC:
            raise RequestError("a post_only order must rest")
        kind = "post_only"
    spot = instrument.kind is InstrumentKind.SPOT
    if order.reduce_only and spot:
        raise RequestError("reduce_only is not for spot")
    _check_steps(order)
    fields: Fields = {
        "tdMode": "cash" if spot else terms.margin,
        "clOrdId": _id("order_id", order.order_id),
        "tag": terms.tag,
        "side": order.side.lower(),
        "ordType": kind,
        "px": instrument.price_text(order.price),
        "sz": instrument.size_text(order.size),
    }
    if order.reduce_only:
        fields["reduceOnly"] = True
    return fields


def cancel_fields(order: CancelOrder) -> Fields:
    """Return the fields of a cancel but for its instrument. Raises RequestError."""
    if order.venue_order_id:
        return {"ordId": order.venue_order_id}
    return {"clOrdId": _id("order_id", order.order_id)}


def amend_fields(change: AmendOrder) -> Fields:
    """Return the fields of a change but for its instrument. Raises RequestError."""
    if change.price is None and change.size is None:
        raise RequestError("an amend needs a price or a size")
    fields: Fields = {"reqId": _id("request_id", change.request_id)}
    if change.venue_order_id:
        fields["ordId"] = change.venue_order_id
    else:
        fields["clOrdId"] = _id("order_id", change.order_id)
    instrument = change.instrument
    if change.price is not None:
        if change.price <= 0 or change.price % instrument.tick_size:
            raise RequestError(f"price is no multiple of the tick of {instrument.id}")
        fields["newPx"] = instrument.price_text(change.price)
    if change.size is not None:
        if change.size <= 0 or change.size % instrument.lot_size:
            raise RequestError(f"size is no multiple of the lot of {instrument.id}")
        fields["newSz"] = instrument.size_text(change.size)
    return fields


def _check_steps(order: NewOrder) -> None:
    instrument = order.instrument
    if order.price <= 0 or order.price % instrument.tick_size:
        raise RequestError(f"price is no multiple of the tick of {instrument.id}")
    if order.size < instrument.minimum_size or order.size % instrument.lot_size:
        raise RequestError(
            f"size is below the minimum or no multiple of the lot of {instrument.id}"
        )
    if instrument.maximum_size is not None and order.size > instrument.maximum_size:
        raise RequestError(f"size is above the maximum of {instrument.id}")


def _id(name: str, text: str) -> str:
    if not _ID.fullmatch(text):
        raise RequestError(f"{name} must be 1 to 32 letters and digits")
    return text


@dataclass(frozen=True, slots=True)
class _Verb:
    rest_one: str
    rest_many: str
    socket_one: str
    socket_many: str
    one: Scope
    many: Scope
    counted: bool
    """By the limit of the sub-account."""


_PLACE = _Verb(
    "/api/v5/trade/order", "/api/v5/trade/batch-orders", "order", "batch-orders",
    Scope.PLACE, Scope.PLACE_BATCH, counted=True,
)  # fmt: skip
_CANCEL = _Verb(
    "/api/v5/trade/cancel-order", "/api/v5/trade/cancel-batch-orders",
    "cancel-order", "batch-cancel-orders",
    Scope.CANCEL, Scope.CANCEL_BATCH, counted=False,
)  # fmt: skip
_AMEND = _Verb(
    "/api/v5/trade/amend-order", "/api/v5/trade/amend-batch-orders",
    "amend-order", "batch-amend-orders",
    Scope.AMEND, Scope.AMEND_BATCH, counted=True,
)  # fmt: skip


def place(orders: Sequence[NewOrder], terms: Terms, *, not_after_ms: int) -> RestRequest:
    """Return the request that places orders, one or a batch, over REST. Raises RequestError."""
    return _rest(
        _PLACE,
        [(one.instrument.symbol, place_fields(one, terms)) for one in orders],
        not_after_ms,
    )


def cancel(orders: Sequence[CancelOrder]) -> RestRequest:
    """Return the request that cancels orders over REST. Raises RequestError."""
    return _rest(_CANCEL, [(one.instrument.symbol, cancel_fields(one)) for one in orders], None)


def amend(changes: Sequence[AmendOrder], *, not_after_ms: int) -> RestRequest:
    """Return the request that amends orders over REST. Raises RequestError."""
    return _rest(
        _AMEND, [(one.instrument.symbol, amend_fields(one)) for one in changes], not_after_ms
    )


def place_by_socket(
    orders: Sequence[tuple[NewOrder, Listing]], terms: Terms, *, not_after_ms: int
) -> SocketOperation:
    """Return the operation that places orders. Raises RequestError."""
    return _operation(
        _PLACE, [(listing, place_fields(one, terms)) for one, listing in orders], not_after_ms
    )


def cancel_by_socket(orders: Sequence[tuple[CancelOrder, Listing]]) -> SocketOperation:
    """Return the operation that cancels orders. Raises RequestError."""
    return _operation(_CANCEL, [(listing, cancel_fields(one)) for one, listing in orders], None)


def amend_by_socket(
    changes: Sequence[tuple[AmendOrder, Listing]], *, not_after_ms: int
) -> SocketOperation:
    """Return the operation that amends orders. Raises RequestError."""
    return _operation(
        _AMEND, [(listing, amend_fields(one)) for one, listing in changes], not_after_ms
    )


def _rest(verb: _Verb, rows: Sequence[tuple[str, Fields]], not_after_ms: int | None) -> RestRequest:
    _check_batch(len(rows))
    bodies = [{"instId": symbol, **fields} for symbol, fields in rows]
    single = len(bodies) == 1
    return RestRequest(
        method="POST",
        path=verb.rest_one if single else verb.rest_many,
        body=msgspec.json.encode(bodies[0] if single else bodies),
        charges=_charges(verb, [symbol for symbol, _ in rows]),
        not_after_ms=not_after_ms,
    )


def _operation(
    verb: _Verb, rows: Sequence[tuple[Listing, Fields]], not_after_ms: int | None
) -> SocketOperation:
    _check_batch(len(rows))
    args: list[Fields] = []
    for listing, fields in rows:
        if listing.code is None:
            raise RequestError(f"{listing.instrument.id} has no instIdCode: it goes by REST alone")
        args.append({"instIdCode": listing.code, **fields})
    return SocketOperation(
        op=verb.socket_one if len(args) == 1 else verb.socket_many,
        args=tuple(args),
        charges=_charges(verb, [listing.instrument.symbol for listing, _ in rows]),
        not_after_ms=not_after_ms,
    )


def _check_batch(count: int) -> None:
    if not 1 <= count <= MAX_IN_BATCH:
        raise RequestError(f"a batch has 1 to {MAX_IN_BATCH} orders")


def _charges(verb: _Verb, symbols: Sequence[str]) -> tuple[Charge, ...]:
    # A batch of one counts as a single order; the others by what they have of each instrument.
    scope = verb.one if len(symbols) == 1 else verb.many
    charges = [Charge(scope, symbol, count) for symbol, count in Counter(symbols).items()]
    if verb.counted:
        charges.append(Charge(Scope.SUB_ACCOUNT, "", len(symbols)))
    return tuple(charges)


def cancel_all_after(seconds: int, tag: str) -> RestRequest:
    """Return the request that has all orders of our tag cancelled unless it is repeated in time.

    Args:
        seconds: 10 to 120; 0 disarms it.
        tag: ours; strangers' orders are left alone.

    Raises:
        RequestError: the seconds are out of range.
    """
    if seconds != 0 and not 10 <= seconds <= 120:
        raise RequestError("seconds must be 0, or 10 to 120")
    return _post(
        "/api/v5/trade/cancel-all-after",
        {"timeOut": str(seconds), "tag": tag},
        Charge(Scope.CANCEL_ALL_AFTER, tag),
    )


def set_leverage(listing: Listing, leverage: Decimal, margin: str) -> RestRequest:
    """Return the request that sets the leverage of an instrument. Raises RequestError."""
    most = listing.max_leverage
    if most is None or not 0 < leverage <= most:
        raise RequestError(f"leverage of {listing.instrument.id} must be above 0, at most {most}")
    return _post(
        "/api/v5/account/set-leverage",
        {
            "instId": listing.instrument.symbol,
            "lever": numbers.to_text(leverage),
            "mgnMode": margin,
        },
        Charge(Scope.SET_LEVERAGE),
    )


def _post(path: str, fields: Fields, charge: Charge) -> RestRequest:
    return RestRequest(
        method="POST", path=path, body=msgspec.json.encode(fields), charges=(charge,)
    )
