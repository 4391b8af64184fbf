"""The JSON of `docs/insiders-api.yaml`, built from the core's values.

The server sends it; the control port shows the same shapes, so that a test compares like with
like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from paper.insiders.core.admission import Capabilities
from paper.insiders.core.amounts import ceil_div, format_amount
from paper.insiders.core.model import Order, Redemption, Rejection, Trade
from paper.insiders.core.requests import invalid, parse_fields

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer before a fault gets hold of it."""

    status: int = 200
    payload: Json
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The payload as it is sent."""
        return msgspec.json.encode(self.payload)

    @property
    def code(self) -> str | None:
        """The error code inside, if it is an error."""
        error = self.payload.get("error")
        return str(error["code"]) if isinstance(error, dict) else None


@lru_cache(maxsize=4096)
def show_time(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    instant = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show_order(order: Order) -> Json:
    """The order resource."""
    request, standing = order.request, order.standing
    return {
        "orderId": order.order_id,
        "idempotencyKey": order.key,
        "side": request.side,
        "followerProxy": request.proxy,
        "conditionId": request.condition_id,
        "assetId": request.asset_id,
        "size": format_amount(request.size),
        "limitPrice": format_amount(request.limit_price),
        "orderType": request.order_type,
        "status": order.status,
        "closed": order.status != "ACCEPTED",
        "filledSize": format_amount(sum(trade.fill.size for trade in standing)),
        "filledNotional": format_amount(sum(trade.fill.notional for trade in standing)),
        "fee": format_amount(sum(trade.fill.fee for trade in standing)),
        "acceptedAt": show_time(order.accepted_ms),
        "trades": [_show_trade(trade) for trade in order.trades],
    }


def _show_trade(trade: Trade) -> Json:
    shown: Json = {
        "tradeId": trade.trade_id,
        "size": format_amount(trade.fill.size),
        "price": format_amount(trade.fill.price),
        "notional": format_amount(trade.fill.notional),
        "fee": format_amount(trade.fill.fee),
        "status": trade.status,
    }
    if trade.transaction_hash is not None:
        shown["transactionHash"] = trade.transaction_hash
    return shown


def show_voided_order(key: str) -> Json:
    """Return what a voided key reads like where an order is asked for."""
    return {
        "idempotencyKey": key,
        "status": "VOIDED",
        "closed": True,
        "filledSize": "0",
        "filledNotional": "0",
        "fee": "0",
        "trades": [],
    }


def show_redemption(done: Redemption) -> Json:
    """The redemption resource."""
    return {
        "idempotencyKey": done.key,
        "followerProxy": done.proxy,
        "conditionId": done.condition_id,
        "payout": format_amount(done.payout),
        "status": "CONFIRMED",
    }


def show_positions(positions: list[tuple[str, str, int]]) -> list[Json]:
    """Positions of one wallet."""
    return [
        {"assetId": asset_id, "conditionId": condition_id, "size": format_amount(size)}
        for asset_id, condition_id, size in positions
    ]


def show_error(
    code: str, message: str, *, field_name: str | None = None, retry_after_ms: int | None = None
) -> Json:
    """The one shape of errors."""
    error: Json = {"code": code, "message": message}
    if field_name is not None:
        error["field"] = field_name
    if retry_after_ms is not None:
        error["retryAfterMs"] = retry_after_ms
    return {"error": error}


def refuse(rejection: Rejection) -> Answer:
    """A rejection as an answer, with Retry-After in whole seconds when it may be tried again."""
    wait_ms = rejection.retry_after_ms
    headers = {} if wait_ms is None else {"Retry-After": str(ceil_div(wait_ms, 1000))}
    payload = show_error(
        rejection.code, rejection.message, field_name=rejection.field, retry_after_ms=wait_ms
    )
    return Answer(status=rejection.status, payload=payload, headers=headers)


_CAPABILITIES = {
    "idempotency": "idempotency",
    "notAfter": "not_after",
    "getByKey": "get_by_key",
    "void": "void",
}


def show_capabilities(capabilities: Capabilities) -> Json:
    """The four switches."""
    return {wire: getattr(capabilities, name) for wire, name in _CAPABILITIES.items()}


def parse_capabilities(given: Mapping[str, object], now: Capabilities) -> Capabilities:
    """The switches after a change; those that are not named stay. Raises Rejection."""
    fields = dict.fromkeys(_CAPABILITIES, _switch)
    values = parse_fields(given, fields, optional=frozenset(fields))
    if not values:
        raise invalid("body", f"must name one of {', '.join(fields)}")
    merged = {**show_capabilities(now), **values}
    return Capabilities(**{name: merged[wire] is True for wire, name in _CAPABILITIES.items()})


def _switch(value: object) -> object:
    if value is True or value is False:
        return value
    raise ValueError("must be true or false")
