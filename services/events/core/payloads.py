"""The data of each type of event: what readers get, and what docs/events.md is made of.

Amounts are decimal text: USDC, shares, or USDC a share. Names leave in camel case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from tradingtools.domain.event_types import EventType

Usdc = Annotated[str, Meta(description="USDC, decimal text")]
Shares = Annotated[str, Meta(description="shares, decimal text")]
Price = Annotated[str, Meta(description="USDC a share, decimal text")]


class Payload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of all types' data: nothing but how names are written."""


class Follower(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """The wallet that it is about."""

    follower_proxy: str
    follower_user_id: str = ""
    follower_wallet_id: str = ""


class FillData(Payload, frozen=True, kw_only=True):
    """One trade of an order at the venue."""

    trade_id: str
    size: Shares
    notional: Usdc
    fee: Usdc


class OrderData(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """An order, as it was claimed, and where it stands."""

    order_id: str
    purpose: Annotated[str, Meta(description="ENTRY, COPY_EXIT or GUARD_EXIT")]
    follower: Follower
    condition_id: str
    asset_id: str
    side: str
    size: Shares
    limit: Price
    state: str
    subscription_id: str = ""
    trigger_id: str = ""
    leader: str = ""
    leader_tx: str = ""
    previous_state: str = ""
    reason: Annotated[str, Meta(description="docs/reasons.md lists them")] = ""
    filled_size: Shares = ""
    fill: FillData | None = None


class PositionData(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """A position of one wallet, outcome and origin, as it stands after the event."""

    follower: Follower
    origin: Annotated[str, Meta(description='a subscription, or "manual"')]
    condition_id: str
    asset_id: str
    shares: Shares
    cost: Usdc = ""
    realised: Annotated[str, Meta(description="profit of this event, USDC, decimal text")] = ""
    order_id: str = ""
    share_payout: Price = ""
    detail: str = ""
    paid: Usdc = ""


class TriggerData(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """A trigger and where it stands."""

    trigger_id: str
    trigger_type: str
    follower: Follower
    origin: str
    condition_id: str
    asset_id: str
    status: str
    previous_status: str = ""
    detail: str = ""
    order_id: str = ""


class LeaderTradeData(Payload, frozen=True, kw_only=True):
    """A row of a leader's transaction, as the venue reported it."""

    leader: str
    leader_tx: str
    condition_id: str
    asset_id: str
    side: str
    size: Shares
    price: Price
    count: Annotated[int, Meta(description="equal rows of the transaction that are known")]
    source: str
    traded_ms: int


class SkipData(Payload, frozen=True, kw_only=True):
    """The reason why a leader's trade was not copied, or not now."""

    subscription_id: str
    follower: Follower
    leader: str
    leader_tx: str
    condition_id: str
    asset_id: str
    side: str
    title: str
    reason: Annotated[str, Meta(description="docs/reasons.md lists them")]
    detail: str
    leader_size: Shares
    leader_notional: Usdc


class ChangeData(Payload, frozen=True, kw_only=True):
    """A change of the control surface, as the audit has it."""

    action: str
    actor: str
    source: str
    subject_kind: str
    subject_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


class BreakerData(Payload, frozen=True, kw_only=True):
    """A circuit breaker and where it stands."""

    dependency: str
    state: str
    previous_state: str
    reason: str


class MessageData(Payload, frozen=True, kw_only=True):
    """A message that its reader could not handle."""

    message_id: str
    stream: str
    consumer: str
    cursor: str
    reason: str


class WebhookData(Payload, frozen=True, kw_only=True):
    """A change of a webhook endpoint."""

    endpoint_id: str
    url: Annotated[str, Meta(description="without path and query, which may be secret")]
    actor: Annotated[str, Meta(description='the id of a token, or "webhooks"')]
    reason: str


class CredentialsData(Payload, frozen=True, kw_only=True):
    """A change of a trading wallet. Nothing of its credentials is in it."""

    wallet_id: str
    name: str
    exchange: str
    environment: str
    account: Annotated[str, Meta(description="at the exchange: OKX's uid, Polymarket's address")]
    actor: Annotated[str, Meta(description="the id of a token")]
    reason: Annotated[str, Meta(description="what is wrong with credentials that were checked")]


class BotData(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """A bot, and what was done to it or became of it."""

    bot_id: str
    tenant: str
    name: str
    wallet_id: str
    exchange: str
    strategy: str
    actor: Annotated[str, Meta(description="the id of a token, or the name of an engine")]
    state: str = ""
    command: Annotated[str, Meta(description="started, paused, resumed, stopped")] = ""
    reason: str = ""


class RiskData(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """A limit of bots, and what became of it."""

    tenant: str
    scope: Annotated[str, Meta(description="BOT, WALLET, EXCHANGE, PORTFOLIO, GROUP or MARKET")]
    subject: Annotated[str, Meta(description="of the scope: a bot, a wallet, a market")]
    about: Annotated[str, Meta(description="the scope and its subject, in words")]
    limit: Annotated[str, Meta(description="max_gross, kill_switch; limits: all of the scope")]
    action: Annotated[str, Meta(description="what reaching it does")] = ""
    detail: Annotated[str, Meta(description="with numbers, or with who changed it")]


class BotFillData(Payload, frozen=True, kw_only=True):
    """One trade of a bot's order at its exchange."""

    trade_id: str
    price: Annotated[str, Meta(description="decimal text, in the instrument's own terms")]
    size: Annotated[str, Meta(description="shares, contracts or coins, decimal text")]
    fee: Annotated[str, Meta(description="below 0: a rebate; decimal text")]
    fee_currency: str
    maker: bool


class BotOrderData(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """An order of a bot, and where it stands. Prices and sizes in the instrument's own terms."""

    bot_id: str
    tenant: str
    name: str
    wallet_id: str
    exchange: str
    strategy: str
    order_id: Annotated[str, Meta(description="the client order id at the exchange")]
    slot: Annotated[str, Meta(description="the place in the strategy's quotes")]
    instrument_id: str
    side: str
    filled_size: Annotated[str, Meta(description="of the order, all fills that stand")]
    price: str = ""
    size: str = ""
    state: str = ""
    previous_state: str = ""
    code: Annotated[str, Meta(description="the exchange's, or ours: NO_ANSWER, NOT_FOUND")] = ""
    fill: BotFillData | None = None


class EngineData(Payload, frozen=True, kw_only=True):
    """A process's report about itself."""

    process: str
    detail: Annotated[str, Meta(description="which dependency; or how it has ended before")]


_OF_SUBJECT: Final[Mapping[str, type[Payload]]] = {
    "order": OrderData,
    "position": PositionData,
    "trigger": TriggerData,
    "leader": LeaderTradeData,
    "copy": SkipData,
    "subscription": ChangeData,
    "wallet": ChangeData,
    "halt": ChangeData,
    "operator": ChangeData,
    "breaker": BreakerData,
    "message": MessageData,
    "webhook": WebhookData,
    "credentials": CredentialsData,
    "engine": EngineData,
    "bot": BotData,
    "risk": RiskData,
}


def payload_of(kind: EventType) -> type[Payload]:
    """Return the data that events of a type have."""
    if kind.startswith("bot.order_"):
        return BotOrderData
    return _OF_SUBJECT[kind.partition(".")[0]]
