"""An order as it is claimed: frozen before it is durable, and sent byte for byte."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from tradingtools.domain.leader_trade import Side


class Purpose(StrEnum):
    """The purpose of an order."""

    ENTRY = "ENTRY"
    COPY_EXIT = "COPY_EXIT"
    GUARD_EXIT = "GUARD_EXIT"


class TimeInForce(StrEnum):
    """The time that an order may wait for a counterpart."""

    FAK = "FAK"
    FOK = "FOK"


class Follower(msgspec.Struct, frozen=True, kw_only=True):
    """The follower's ids, as the backend asserted them."""

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
