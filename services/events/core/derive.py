"""The events that a source row is. Pure: the same row gives the same bytes, whenever it is asked.

Before it: `store.py` reads the rows. After it: `worker.py` numbers the events and writes them.
Amounts leave as decimal text.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from urllib.parse import urlsplit

import msgspec
from msgspec import structs

from services.events.core.payloads import (
    BotData,
    BotFillData,
    BotOrderData,
    BreakerData,
    ChangeData,
    CredentialsData,
    EngineData,
    FillData,
    Follower,
    LeaderTradeData,
    MessageData,
    OrderData,
    Payload,
    PositionData,
    RiskData,
    SkipData,
    TriggerData,
    WebhookData,
)
from services.events.core.sources import (
    Booked,
    BotFacts,
    BotFilled,
    BotMoved,
    BotOrderMoved,
    BreakerMoved,
    Claimed,
    ControlChanged,
    Corrected,
    CredentialsChanged,
    Decision,
    LeaderFill,
    OrderFacts,
    OrderMoved,
    PaidOut,
    ProcessMoved,
    Quarantined,
    RiskMoved,
    Source,
    TriggerMoved,
    WebhookChanged,
)
from tradingtools.domain.bot_order_states import BotOrderState
from tradingtools.domain.bot_risk import RiskLimit
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.event import Event
from tradingtools.domain.event_types import (
    BOT_EVENTS,
    BOT_ORDER_EVENTS,
    BOT_WORDS,
    BREAKER_EVENTS,
    CREDENTIALS_EVENTS,
    ENGINE_EVENTS,
    HALT_EVENTS,
    KILL_SWITCH_EVENTS,
    ORDER_EVENTS,
    RISK_EVENTS,
    SUBSCRIPTION_EVENTS,
    TRIGGER_EVENTS,
    WEBHOOK_EVENTS,
    EventType,
)
from tradingtools.domain.instrument import units_text
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.money import to_text
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.domain.trigger_states import TriggerStatus

_encode = msgspec.json.Encoder(order="deterministic").encode


def derive(row: Source) -> tuple[Event, ...]:
    """Return the events of a row, in order; none when no reader would care."""
    return tuple(
        Event(
            log_number=row.number,
            part=part,
            type=str(draft.type),
            subject=draft.subject,
            at=row.at,
            follower_proxy=draft.follower_proxy,
            subscription_id=draft.subscription_id,
            traceparent=draft.traceparent,
            data=_encode(draft.data).decode(),
        )
        for part, draft in enumerate(_drafts(row))
    )


class _Draft(msgspec.Struct, frozen=True, kw_only=True):
    type: EventType
    subject: str
    data: Payload
    follower_proxy: str = ""
    subscription_id: str = ""
    traceparent: str = ""


@singledispatch
def _drafts(row: Source) -> Iterator[_Draft]:
    raise TypeError(f"no events are made of {type(row).__name__}")


@_drafts.register
def _(row: OrderMoved) -> Iterator[_Draft]:
    kind = _order_type(row)
    if kind is not None:
        data = structs.replace(
            _order_data(row.order, row.to_state), previous_state=row.from_state, reason=row.reason
        )
        yield _of_order(kind, row.order, data)


def _order_type(row: OrderMoved) -> EventType | None:
    source = OrderState(row.from_state) if row.from_state else None
    target = OrderState(row.to_state)
    if target is OrderState.CONFIRMED:
        return None  # the booking that closes it tells of it, after its fills
    if source is OrderState.SUBMITTED and row.reason == Reason.NOTHING_FILLED:
        return EventType.ORDER_CANCELLED
    return ORDER_EVENTS[source, target]


@_drafts.register
def _(row: Booked) -> Iterator[_Draft]:
    data = structs.replace(
        _order_data(row.order, row.order_state), filled_size=to_text(row.filled_micros)
    )
    if row.kind == "CLOSED":
        if row.order_state == OrderState.CONFIRMED:
            whole = row.filled_micros >= row.order.size_micros
            kind = EventType.ORDER_SETTLED if whole else EventType.ORDER_CANCELLED
            yield _of_order(kind, row.order, data)
        return
    if row.kind not in _FILLS:
        return  # a final fill was reported when it was matched
    fill = FillData(
        trade_id=row.trade_id,
        size=to_text(row.size_micros),
        notional=to_text(row.notional_micros),
        fee=to_text(row.fee_micros),
    )
    yield _of_order(_fill_type(row), row.order, structs.replace(data, fill=fill))
    moved = _position_type(row)
    if moved is not None:
        yield _of_order(moved, row.order, _position_data(row))


_FILLS = {"MATCHED": 1, "UNDONE": -1}
"""Kinds of bookings that move shares, and which way."""


def _fill_type(row: Booked) -> EventType:
    if row.kind == "UNDONE":
        return EventType.ORDER_FILL_REVERSED
    whole = row.filled_micros >= row.order.size_micros
    return EventType.ORDER_FILLED if whole else EventType.ORDER_PARTIALLY_FILLED


def _position_type(row: Booked) -> EventType | None:
    sign = _FILLS[row.kind] * (1 if row.order.side == Side.BUY else -1)
    before = row.lot_shares_micros - sign * row.size_micros
    if before <= 0 < row.lot_shares_micros:
        return EventType.POSITION_OPENED
    return EventType.POSITION_CLOSED if row.lot_shares_micros == 0 < before else None


def _position_data(row: Booked) -> PositionData:
    return PositionData(
        follower=_follower(row.order),
        origin=row.order.subscription_id or "manual",
        condition_id=row.order.condition_id,
        asset_id=row.order.asset_id,
        order_id=row.order.order_key,
        shares=to_text(row.lot_shares_micros),
        cost=to_text(row.lot_cost_micros),
        realised=to_text(row.realised_micros),
    )


@_drafts.register
def _(row: PaidOut) -> Iterator[_Draft]:
    yield _Draft(
        type=EventType.POSITION_RESOLVED,
        subject=f"positions/{row.follower_proxy}/{row.asset_id}/{row.origin}",
        follower_proxy=row.follower_proxy,
        subscription_id=_subscription(row.origin),
        data=PositionData(
            follower=Follower(follower_proxy=row.follower_proxy),
            origin=row.origin,
            condition_id=row.condition_id,
            asset_id=row.asset_id,
            shares=to_text(row.size_micros),
            share_payout=to_text(row.share_micros),
            paid=to_text(row.paid_micros),
            realised=to_text(row.realised_micros),
        ),
    )


@_drafts.register
def _(row: Corrected) -> Iterator[_Draft]:
    yield _Draft(
        type=EventType.POSITION_CORRECTED,
        subject=f"positions/{row.follower_proxy}/{row.asset_id}/{row.origin}",
        follower_proxy=row.follower_proxy,
        subscription_id=_subscription(row.origin),
        data=PositionData(
            follower=Follower(follower_proxy=row.follower_proxy),
            origin=row.origin,
            condition_id=row.condition_id,
            asset_id=row.asset_id,
            shares=to_text(row.shares_micros),
            cost=to_text(row.left_micros),
            detail=row.reason,
        ),
    )


@_drafts.register
def _(row: TriggerMoved) -> Iterator[_Draft]:
    kind = _trigger_type(row)
    if kind is None:
        return
    yield _Draft(
        type=kind,
        subject=f"triggers/{row.trigger_id}",
        follower_proxy=row.follower_proxy,
        subscription_id=_subscription(row.origin),
        data=TriggerData(
            trigger_id=row.trigger_id,
            trigger_type=row.trigger_type,
            follower=Follower(follower_proxy=row.follower_proxy),
            origin=row.origin,
            condition_id=row.condition_id,
            asset_id=row.asset_id,
            status=row.to_status,
            previous_status=row.from_status,
            detail=row.detail,
            order_id=row.order_key,
        ),
    )


def _trigger_type(row: TriggerMoved) -> EventType | None:
    if not row.from_status:
        return EventType.TRIGGER_CREATED
    if row.from_status == row.to_status:
        return EventType.TRIGGER_CHANGED
    return TRIGGER_EVENTS[TriggerStatus(row.from_status), TriggerStatus(row.to_status)]


@_drafts.register
def _(row: ControlChanged) -> Iterator[_Draft]:
    kind = _control_type(row)
    if kind is None:
        return
    state = row.after or row.before or {}
    follower = str(state.get("follower_proxy") or (row.subject if row.kind == "funding" else ""))
    yield _Draft(
        type=kind,
        subject=f"{_PLURALS.get(row.kind, row.kind)}/{row.subject}",
        follower_proxy=follower,
        subscription_id=row.subject if row.kind == "subscription" else "",
        data=ChangeData(
            action=row.action,
            actor=row.actor,
            source=row.source,
            subject_kind=row.kind,
            subject_id=row.subject,
            before=row.before,
            after=row.after,
        ),
    )


_PLURALS = {
    "subscription": "subscriptions",
    "halt": "halts",
    "order": "orders",
    "funding": "wallets",
    "message": "messages",
}
_OWN_EVENTS = frozenset({"trigger", "breaker"})
"""Kinds of control changes whose subjects have events of their own."""


def _control_type(row: ControlChanged) -> EventType | None:
    if row.kind in _OWN_EVENTS:
        return None
    if row.kind == "subscription":
        return SUBSCRIPTION_EVENTS.get(row.action, EventType.OPERATOR_ACTED)
    if row.kind == "halt":
        return HALT_EVENTS.get(row.action, EventType.OPERATOR_ACTED)
    return EventType.WALLET_FUNDED if row.kind == "funding" else EventType.OPERATOR_ACTED


@_drafts.register
def _(row: BreakerMoved) -> Iterator[_Draft]:
    yield _Draft(
        type=BREAKER_EVENTS[row.to_state],
        subject=f"breakers/{row.dependency}",
        data=BreakerData(
            dependency=row.dependency,
            state=row.to_state,
            previous_state=row.from_state,
            reason=row.reason,
        ),
    )


@_drafts.register
def _(row: Quarantined) -> Iterator[_Draft]:
    yield _Draft(
        type=EventType.MESSAGE_QUARANTINED,
        subject=f"messages/{row.number}",
        data=MessageData(
            message_id=str(row.number),
            stream=row.stream,
            consumer=row.consumer,
            cursor=row.cursor,
            reason=row.reason,
        ),
    )


@_drafts.register
def _(row: WebhookChanged) -> Iterator[_Draft]:
    yield _Draft(
        type=WEBHOOK_EVENTS[row.action],
        subject=f"webhook-endpoints/{row.endpoint_id}",
        data=WebhookData(
            endpoint_id=row.endpoint_id, url=_origin(row.url), actor=row.actor, reason=row.reason
        ),
    )


def _origin(url: str) -> str:
    # Every endpoint gets events of every other one, and a path may be all that keeps strangers out.
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@_drafts.register
def _(row: CredentialsChanged) -> Iterator[_Draft]:
    kind = CREDENTIALS_EVENTS[row.action]
    if kind is not None:
        yield _Draft(
            type=kind,
            subject=f"wallets/{row.wallet_id}",
            data=CredentialsData(
                wallet_id=row.wallet_id,
                name=row.name,
                exchange=row.exchange,
                environment=row.environment,
                account=row.account,
                actor=row.actor,
                reason=row.reason,
            ),
        )


@_drafts.register
def _(row: BotMoved) -> Iterator[_Draft]:
    kind, state, command = _bot_type(row)
    if kind is not None:
        data = BotData(
            **msgspec.structs.asdict(row.bot), actor=row.actor, state=state, command=command,
            reason=row.reason,
        )  # fmt: skip
        yield _Draft(type=kind, subject=f"bots/{row.bot.bot_id}", data=data)


_RESUMED = (BotState.PAUSED, BotState.RISK_STOPPED)
_ENDED_ITSELF = (BotState.RISK_STOPPED, BotState.ERROR)


def _bot_type(row: BotMoved) -> tuple[EventType | None, str, str]:
    if row.what == "stopped" and row.before in _ENDED_ITSELF:
        return EventType.BOT_GIVEN_UP, "", row.what
    if row.what not in BotState.__members__:
        word = BOT_WORDS.get(row.what)
        return word or EventType.BOT_COMMANDED, "", "" if word else row.what
    kind = BOT_EVENTS[BotState(row.what)]
    if kind is EventType.BOT_STARTED and row.before == BotState.RUNNING:
        kind = EventType.BOT_TAKEN_OVER
    elif kind is EventType.BOT_STARTED and row.before in _RESUMED:
        kind = EventType.BOT_RESUMED
    return kind, row.what, ""


@_drafts.register
def _(row: RiskMoved) -> Iterator[_Draft]:
    if row.limit_name == RiskLimit.KILL_SWITCH:
        kind = KILL_SWITCH_EVENTS[row.action]
    else:
        kind = RISK_EVENTS.get(row.action, EventType.RISK_LIMIT_REACHED)
    reaching = kind in (EventType.RISK_LIMIT_REACHED, EventType.RISK_KILL_SWITCH_SET)
    data = RiskData(
        tenant=row.tenant, scope=row.scope, subject=row.subject, about=_about(row),
        limit=row.limit_name,
        action=row.action if reaching else "", detail=row.detail,
    )  # fmt: skip
    subject = "/".join(("risk", row.tenant, row.scope, row.subject, row.limit_name))
    yield _Draft(type=kind, subject=subject, data=data)


def _about(row: RiskMoved) -> str:
    if row.scope == "PORTFOLIO":
        return f"all bots of {row.tenant}"
    return "each market" if row.subject == "*" else f"the {row.scope.lower()} {row.subject}"


@_drafts.register
def _(row: BotOrderMoved) -> Iterator[_Draft]:
    source = BotOrderState(row.from_state) if row.from_state else None
    kind = BOT_ORDER_EVENTS[source, BotOrderState(row.to_state)]
    if kind is not None:
        data = structs.replace(
            _bot_order(row.bot, row, row.filled), price=row.price, size=row.size,
            state=row.to_state, previous_state=row.from_state, code=row.code,
        )  # fmt: skip
        yield _Draft(type=kind, subject=_of_bot_order(row), data=data)


@_drafts.register
def _(row: BotFilled) -> Iterator[_Draft]:
    fill = BotFillData(
        trade_id=row.trade_id,
        price=units_text(row.price, row.price_digits),
        size=units_text(row.size, row.size_digits),
        fee=units_text(row.fee, row.money_digits),
        fee_currency=row.fee_currency,
        maker=row.maker,
    )
    filled = _bot_order(row.bot, row, units_text(row.filled, row.size_digits))
    undone = EventType.BOT_ORDER_FILL_REVERSED
    yield _Draft(
        type=undone if row.undone else EventType.BOT_ORDER_FILLED,
        subject=_of_bot_order(row),
        data=structs.replace(filled, fill=fill),
    )


def _of_bot_order(row: BotOrderMoved | BotFilled) -> str:
    return f"bots/{row.bot.bot_id}/orders/{row.order_id}"


def _bot_order(bot: BotFacts, row: BotOrderMoved | BotFilled, filled: str) -> BotOrderData:
    return BotOrderData(
        **msgspec.structs.asdict(bot),
        order_id=row.order_id,
        slot=row.slot,
        instrument_id=row.instrument_id,
        side=row.side,
        filled_size=filled,
    )


@_drafts.register
def _(row: ProcessMoved) -> Iterator[_Draft]:
    yield _Draft(
        type=ENGINE_EVENTS[row.action],
        subject=f"processes/{row.process}",
        data=EngineData(process=row.process, detail=row.detail),
    )


@_drafts.register
def _(row: Claimed) -> Iterator[_Draft]:
    for fill in row.payload.rows:
        yield structs.replace(_leader_traded(fill), traceparent=row.payload.traceparent)
    for decision in row.payload.decisions:
        # A reason beside a copy says why it is not whole; one without is a skip.
        if not decision.copied and decision.reason:
            yield structs.replace(_skipped(decision), traceparent=row.payload.traceparent)


def _leader_traded(fill: LeaderFill) -> _Draft:
    return _Draft(
        type=EventType.LEADER_TRADED,
        subject=f"leaders/{fill.leader}",
        data=LeaderTradeData(
            leader=fill.leader,
            leader_tx=fill.leader_tx,
            condition_id=fill.condition_id,
            asset_id=fill.asset_id,
            side=fill.side,
            size=to_text(fill.size_micros),
            price=to_text(fill.price_micros),
            count=fill.count,
            source=fill.source,
            traded_ms=fill.traded_ms,
        ),
    )


def _skipped(decision: Decision) -> _Draft:
    return _Draft(
        type=EventType.COPY_SKIPPED,
        subject=f"subscriptions/{decision.subscription_id}",
        follower_proxy=decision.follower_proxy,
        subscription_id=decision.subscription_id,
        data=SkipData(
            subscription_id=decision.subscription_id,
            follower=Follower(follower_proxy=decision.follower_proxy),
            leader=decision.leader,
            leader_tx=decision.leader_tx,
            condition_id=decision.condition_id,
            asset_id=decision.asset_id,
            side=decision.side,
            title=decision.title,
            reason=decision.reason,
            detail=decision.detail,
            leader_size=to_text(decision.leader_size_micros),
            leader_notional=to_text(decision.leader_notional_micros),
        ),
    )


def _of_order(kind: EventType, order: OrderFacts, data: Payload) -> _Draft:
    return _Draft(
        type=kind,
        subject=f"orders/{order.order_key}",
        follower_proxy=order.follower_proxy,
        subscription_id=order.subscription_id,
        traceparent=order.traceparent,
        data=data,
    )


def _order_data(order: OrderFacts, state: str) -> OrderData:
    return OrderData(
        order_id=order.order_key,
        purpose=order.purpose,
        subscription_id=order.subscription_id,
        trigger_id=order.trigger_id,
        follower=_follower(order),
        leader=order.leader,
        leader_tx=order.leader_tx,
        condition_id=order.condition_id,
        asset_id=order.asset_id,
        side=order.side,
        size=to_text(order.size_micros),
        limit=to_text(order.limit_micros),
        state=state,
    )


def _follower(order: OrderFacts) -> Follower:
    return Follower(
        follower_user_id=order.follower_user_id,
        follower_wallet_id=order.follower_wallet_id,
        follower_proxy=order.follower_proxy,
    )


def _subscription(origin: str) -> str:
    """Return the subscription that an origin names; a lot of the follower's own has none."""
    return origin if origin.startswith("sub_") else ""
