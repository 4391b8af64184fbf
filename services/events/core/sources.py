"""The rows that events are made of, as frozen values; amounts are micros (1e-6).

Every field is one that never changes once its row is visible, so that the log can be made again
from the tables at any time, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all rows: the row's number in the one sequence, and when it was written."""

    number: int
    at: datetime


class OrderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of an order that are fixed from its claim on."""

    order_key: str
    purpose: str
    subscription_id: str
    trigger_id: str
    follower_user_id: str
    follower_wallet_id: str
    follower_proxy: str
    leader: str
    leader_tx: str
    condition_id: str
    asset_id: str
    side: str
    size_micros: int
    limit_micros: int
    traceparent: str


class OrderMoved(Source, frozen=True, kw_only=True):
    """A transition of an order."""

    order: OrderFacts
    from_state: str
    to_state: str
    reason: str


class Booked(Source, frozen=True, kw_only=True):
    """A fill, or the end of one."""

    order: OrderFacts
    kind: str
    order_state: str
    trade_id: str
    size_micros: int
    notional_micros: int
    fee_micros: int
    realised_micros: int
    filled_micros: int
    """Of the order, this one included."""
    lot_shares_micros: int
    """What the lot holds after it."""
    lot_cost_micros: int


class PaidOut(Source, frozen=True, kw_only=True):
    """The payout of a lot whose market has resolved."""

    follower_proxy: str
    asset_id: str
    origin: str
    condition_id: str
    size_micros: int
    share_micros: int
    paid_micros: int
    realised_micros: int


class Corrected(Source, frozen=True, kw_only=True):
    """A lot that was set to what is really held."""

    follower_proxy: str
    asset_id: str
    origin: str
    condition_id: str
    reason: str
    shares_micros: int
    left_micros: int
    """What they have cost."""


class TriggerMoved(Source, frozen=True, kw_only=True):
    """A transition of a trigger, or a change of its terms."""

    trigger_id: str
    follower_proxy: str
    condition_id: str
    asset_id: str
    origin: str
    trigger_type: str
    from_status: str
    to_status: str
    detail: str
    order_key: str


class ControlChanged(Source, frozen=True, kw_only=True):
    """A change of the control surface."""

    actor: str
    source: str
    action: str
    kind: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


class BreakerMoved(Source, frozen=True, kw_only=True):
    """A move of a circuit breaker."""

    dependency: str
    from_state: str
    to_state: str
    reason: str


class Quarantined(Source, frozen=True, kw_only=True):
    """A message that its reader could not handle."""

    stream: str
    consumer: str
    cursor: str
    reason: str


class WebhookChanged(Source, frozen=True, kw_only=True):
    """A change of a webhook endpoint."""

    endpoint_id: str
    action: str
    url: str
    actor: str
    reason: str


class CredentialsChanged(Source, frozen=True, kw_only=True):
    """A change of a trading wallet."""

    wallet_id: str
    action: str
    name: str
    exchange: str
    environment: str
    account: str
    actor: str
    reason: str


class BotFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a bot that never change."""

    bot_id: str
    tenant: str
    name: str
    wallet_id: str
    exchange: str
    strategy: str


class BotMoved(Source, frozen=True, kw_only=True):
    """A state that a bot has come to, or a word of a person about it."""

    bot: BotFacts
    what: str
    before: str
    """The last of RUNNING, PAUSED, STOPPED, RISK_STOPPED and ERROR before it; empty: none."""
    actor: str
    reason: str


class RiskMoved(Source, frozen=True, kw_only=True):
    """A limit or kill switch, and what became of it."""

    tenant: str
    scope: str
    subject: str
    limit_name: str
    action: str
    """Keys of RISK_EVENTS and KILL_SWITCH_EVENTS, or what reaching it does."""
    detail: str


class BotOrderMoved(Source, frozen=True, kw_only=True):
    """A transition of a bot's order that readers are notified of; amounts are decimal texts."""

    bot: BotFacts
    order_id: str
    slot: str
    instrument_id: str
    side: str
    price: str
    size: str
    filled: str
    from_state: str
    to_state: str
    code: str


class BotFilled(Source, frozen=True, kw_only=True):
    """A fill of a bot's order, or one that was undone; amounts in the units of the instrument."""

    bot: BotFacts
    order_id: str
    slot: str
    instrument_id: str
    side: str
    trade_id: str
    undone: bool
    maker: bool
    price: int
    size: int
    fee: int
    fee_currency: str
    filled: int
    """Of the order, this one included."""
    price_digits: int
    size_digits: int
    money_digits: int


class ProcessMoved(Source, frozen=True, kw_only=True):
    """A process's report about itself."""

    process: str
    action: str
    detail: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The decision in a claim record on one subscription and a leader's trade."""

    leader_tx: str
    leader: str
    asset_id: str
    side: str
    subscription_id: str
    condition_id: str
    follower_proxy: str
    copied: bool
    reason: str
    detail: str
    leader_size_micros: int
    leader_notional_micros: int
    title: str


class LeaderFill(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a leader's trade, as the feed reported it."""

    leader_tx: str
    leader: str
    asset_id: str
    side: str
    price_micros: int
    size_micros: int
    count: int
    source: str
    condition_id: str
    traded_ms: int


class ClaimPayload(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a CLAIMED record that events are made of; the orders have rows of their own."""

    traceparent: str = ""
    decisions: tuple[Decision, ...] = ()
    rows: tuple[LeaderFill, ...] = ()


class Claimed(Source, frozen=True, kw_only=True):
    """A claim record: a leader's trade, and who copies it or why not."""

    payload: ClaimPayload
