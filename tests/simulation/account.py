"""An order of the exchange as the evidence has it. After it: the verdict on a seed."""

from __future__ import annotations

from launcher.core import evidence as facts
from paper.insiders.core.model import Order


def as_fact(order: Order) -> facts.GatewayOrder:
    """Return what the far side says of an order; amounts without failed trades."""
    request, standing = order.request, order.standing
    return facts.GatewayOrder(
        order_key=order.key,
        follower_proxy=request.proxy,
        asset_id=request.asset_id,
        side=request.side,
        size_micros=request.size,
        limit_micros=request.limit_price,
        closed=order.status != "ACCEPTED",
        filled_size_micros=sum(trade.fill.size for trade in standing),
        filled_notional_micros=sum(trade.fill.notional for trade in standing),
        fee_micros=sum(trade.fill.fee for trade in standing),
        accepted_ms=order.accepted_ms,
        trades=tuple(
            facts.GatewayTrade(
                trade_id=trade.trade_id,
                size_micros=trade.fill.size,
                notional_micros=trade.fill.notional,
                fee_micros=trade.fill.fee,
                status=trade.status,
            )
            for trade in order.trades
        ),
    )
