"""Make an order of a size and a limit: its keys, frozen body and reservation. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.router.core.fees import reserved_money
from services.router.core.sizing import Sized
from tradingtools.domain import ids
from tradingtools.domain.leader_trade import LeaderTrade, Side, TradeKey
from tradingtools.domain.order import Order, Purpose, TimeInForce
from tradingtools.domain.subscription import Subscription
from tradingtools.venues.ports import OrderBody


@dataclass(frozen=True, slots=True)
class OrderSubject:
    """The cause of an order: a leader trade, or an outcome alone, without a transaction."""

    key: TradeKey
    condition_id: str


def make_order(  # noqa: PLR0913 - an order is made of so much
    cause: LeaderTrade | OrderSubject,
    subscription: Subscription,
    copy_key: str,
    ordinal: int,
    purpose: Purpose,
    sized: Sized,
    not_after_ms: int,
    fee_rate_micros: int = 0,
    *,
    body_of: OrderBody,
) -> Order:
    """Make the n-th order of a copy; an entry also reserves its highest fee."""
    entry = purpose is Purpose.ENTRY
    return Order(
        order_key=ids.order_key(copy_key, ordinal),
        copy_key=copy_key,
        ordinal=ordinal,
        purpose=purpose,
        subscription_id=subscription.id,
        subscription_version=subscription.version,
        trigger_id="",
        follower=subscription.follower,
        leader=cause.key.leader,
        leader_tx=cause.key.leader_tx,
        condition_id=cause.condition_id,
        asset_id=cause.key.asset_id,
        side=Side.BUY if entry else Side.SELL,
        size_micros=sized.size_micros,
        limit_micros=sized.limit_micros,
        time_in_force=TimeInForce.FAK,
        not_after_ms=not_after_ms,
        body=body_of(
            follower=subscription.follower,
            condition_id=cause.condition_id,
            asset_id=cause.key.asset_id,
            size_micros=sized.size_micros,
            limit_micros=sized.limit_micros,
            time_in_force=TimeInForce.FAK,
            not_after_ms=not_after_ms,
        ),
        reserved_money_micros=(
            reserved_money(sized.size_micros, sized.limit_micros, fee_rate_micros) if entry else 0
        ),
        reserved_shares_micros=0 if entry else sized.size_micros,
    )
