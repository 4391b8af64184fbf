"""An order as it is claimed: frozen before it is durable, and sent byte for byte."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring_ascii

import msgspec

from tradingtools.domain.leader_trade import Side
from tradingtools.domain.money import to_text

_quoted = encode_basestring_ascii
"""A JSON string, as `json.dumps` writes it."""


class Purpose(StrEnum):
    """Why an order exists."""

    ENTRY = "ENTRY"
    COPY_EXIT = "COPY_EXIT"
    GUARD_EXIT = "GUARD_EXIT"


class TimeInForce(StrEnum):
    """How long an order may wait for a counterpart."""

    FAK = "FAK"
    FOK = "FOK"


class Follower(msgspec.Struct, frozen=True, kw_only=True):
    """Who the follower is, as the backend asserted it."""

    user_id: str
    wallet_id: str
    proxy: str
    """The wallet that holds money and shares."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One POST with one key. Amounts in micros."""

    order_key: str
    copy_key: str
    ordinal: int
    """Part of an entry, slice of an exit, from 0."""
    purpose: Purpose
    subscription_id: str
    """The origin of the lot."""
    subscription_version: int
    trigger_id: str
    follower: Follower
    leader: str
    leader_tx: str
    condition_id: str
    asset_id: str
    side: Side
    size_micros: int
    limit_micros: int
    time_in_force: TimeInForce
    not_after_ms: int
    body: str
    reserved_money_micros: int
    reserved_shares_micros: int

    @property
    def body_hash(self) -> str:
        """SHA-256 of the bytes that every attempt sends, hex."""
        return hashlib.sha256(self.body.encode()).hexdigest()


def body_text(
    *,
    follower: Follower,
    condition_id: str,
    asset_id: str,
    size_micros: int,
    limit_micros: int,
    time_in_force: TimeInForce,
    not_after_ms: int,
) -> str:
    """Return the request body as `docs/insiders-api.yaml` fixes it; same inputs, same bytes."""
    # Written out: an encoder of dictionaries takes twice as long, for each follower.
    return (
        f'{{"followerUserId":{_quoted(follower.user_id)}'
        f',"followerWalletId":{_quoted(follower.wallet_id)}'
        f',"followerProxy":{_quoted(follower.proxy)}'
        f',"conditionId":{_quoted(condition_id)}'
        f',"assetId":{_quoted(asset_id)}'
        f',"size":"{to_text(size_micros)}"'
        f',"limitPrice":"{to_text(limit_micros)}"'
        f',"orderType":"{time_in_force.value}"'
        f',"notAfter":"{_instant_text(not_after_ms)}"}}'
    )


@lru_cache(maxsize=256)
def _instant_text(instant_ms: int) -> str:
    # The orders of a fan-out share one.
    instant = datetime.fromtimestamp(instant_ms // 1000, UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant_ms % 1000:03d}Z"
