"""From the bytes of a request to a value, or to a refusal that names the field.

The server calls this after the key was looked up (capability A looks first); admission judges
the value that comes out. Field rules: `docs/insiders-api.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, cast

import msgspec

from paper.insiders.core.amounts import parse_amount
from paper.insiders.core.model import OrderRequest, OrderType, RedeemRequest, Rejection, Side

_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PROXY = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
_CONDITION = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_ASSET = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)

Fields = Mapping[str, Callable[[object], object]]


def invalid(field: str, reason: str) -> Rejection:
    """The definitive refusal of a request because of one field."""
    return Rejection(400, "INVALID_REQUEST", f"{field} {reason}", field=field)


def parse_key(text: str | None, *, field: str) -> str:
    """An idempotency key; `field` names where it was given."""
    if text is None:
        raise invalid(field, "is required")
    if _KEY.fullmatch(text) is None:
        raise invalid(field, "must be 64 lower-case hex digits")
    return text


def parse_proxy(text: object) -> str:
    """A follower's proxy wallet. Raises ValueError with the rule."""
    return _pattern(text, _PROXY, "must be 0x and 40 lower-case hex digits")


def parse_asset(text: object) -> str:
    """An asset id. Raises ValueError with the rule."""
    rule = "must be decimal text below 2^256 without leading zeros"
    asset = _pattern(text, _ASSET, rule)
    if int(asset) >= 1 << 256:
        raise ValueError(rule)
    return asset


def parse_condition(text: object) -> str:
    """A condition id. Raises ValueError with the rule."""
    return _pattern(text, _CONDITION, "must be 0x and 64 lower-case hex digits")


def parse_time(text: object) -> int:
    """Milliseconds since the epoch of an RFC 3339 instant. Raises ValueError with the rule."""
    rule = "must be an RFC 3339 UTC time with milliseconds"
    try:
        instant = datetime.fromisoformat(_pattern(text, _TIME, rule))
    except ValueError:
        raise ValueError(rule) from None
    return round(instant.timestamp() * 1000)


def _pattern(text: object, pattern: re.Pattern[str], rule: str) -> str:
    if not isinstance(text, str) or pattern.fullmatch(text) is None:
        raise ValueError(rule)
    return text


def _follower(text: object) -> str:
    if not isinstance(text, str) or not 1 <= len(text) <= 128:
        raise ValueError("must be a string of 1 to 128 characters")
    return text


def _above_zero(text: object) -> int:
    micros = parse_amount(text)
    if micros == 0:
        raise ValueError("must be above zero")
    return micros


def _order_type(text: object) -> OrderType:
    if text == "FAK":
        return "FAK"
    if text == "FOK":
        return "FOK"
    raise ValueError("must be FAK or FOK")


_REDEEM_FIELDS: Final[Fields] = {
    "followerUserId": _follower,
    "followerWalletId": _follower,
    "followerProxy": parse_proxy,
    "conditionId": parse_condition,
}
_ORDER_FIELDS: Final[Fields] = {
    **_REDEEM_FIELDS,
    "assetId": parse_asset,
    "size": _above_zero,
    "limitPrice": _above_zero,
    "orderType": _order_type,
}


def parse_object(body: bytes) -> dict[str, object]:
    """The JSON object in a body."""
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("body", "must be a JSON object") from None


def parse_fields(
    given: Mapping[str, object], fields: Fields, *, optional: frozenset[str] = frozenset()
) -> dict[str, object]:
    """Each field through its rule; unknown, missing and wrong ones are refused by name."""
    for name in given:
        if name not in fields:
            raise invalid(name, "is not a field of this request")
    values: dict[str, object] = {}
    for name, parse in fields.items():
        if name not in given:
            if name in optional:
                continue
            raise invalid(name, "is required")
        try:
            values[name] = parse(given[name])
        except ValueError as error:
            raise invalid(name, str(error)) from None
    return values


def parse_order(body: bytes, side: Side, *, reads_not_after: bool) -> OrderRequest:
    """A buy or sell; without capability B `notAfter` is ignored whatever it says."""
    given = parse_object(body)
    if not reads_not_after:
        given.pop("notAfter", None)
    values = parse_fields(
        given, {**_ORDER_FIELDS, "notAfter": parse_time}, optional=frozenset({"notAfter"})
    )
    return OrderRequest(
        side=side,
        user_id=cast(str, values["followerUserId"]),
        wallet_id=cast(str, values["followerWalletId"]),
        proxy=cast(str, values["followerProxy"]),
        condition_id=cast(str, values["conditionId"]),
        asset_id=cast(str, values["assetId"]),
        size=cast(int, values["size"]),
        limit_price=cast(int, values["limitPrice"]),
        order_type=cast(OrderType, values["orderType"]),
        not_after_ms=cast("int | None", values.get("notAfter")),
    )


def parse_redeem(body: bytes) -> RedeemRequest:
    """A redemption."""
    values = parse_fields(parse_object(body), _REDEEM_FIELDS)
    return RedeemRequest(
        user_id=cast(str, values["followerUserId"]),
        wallet_id=cast(str, values["followerWalletId"]),
        proxy=cast(str, values["followerProxy"]),
        condition_id=cast(str, values["conditionId"]),
    )
