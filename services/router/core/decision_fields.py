"""Write decisions as the journal carries them, and the analytical store. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.router.core.records import Copy
from tradingtools.domain.copy_settings import to_json
from tradingtools.domain.leader_trade import LeaderTrade
from tradingtools.domain.performance import UNSCALED_MICROS

SPARSE = (
    "equity_micros",
    "leader_equity_micros",
    "leader_version",
    "accrued_micros",
    "paper_size_micros",
    "paper_cost_micros",
    "paper_notional_micros",
    "rest_until_ms",
    "small_micros",
    "carried_micros",
    "passed_micros",
)
"""Fields of a copy that most do not have; stored when they say something."""


def decision_fields(trade: LeaderTrade, copies: Mapping[str, Copy]) -> list[dict[str, Any]]:
    """Return decisions as the journal carries them."""
    return [
        {
            "leader_tx": trade.key.leader_tx,
            "leader": trade.key.leader,
            "asset_id": trade.key.asset_id,
            "side": trade.key.side,
            "subscription_id": subscription_id,
            "condition_id": trade.condition_id,
            "follower_proxy": copy.frozen.follower.proxy,
            "copied": copy.copied and not copy.shadow,
            "reason": copy.reason,
            "detail": copy.detail,
            "leader_size_micros": trade.size_micros,
            "leader_notional_micros": trade.notional_micros,
            "frozen": _frozen_fields(copy),
            "ordered_size_micros": copy.ordered_size_micros,
            "order_keys": list(copy.order_keys),
            "title": trade.title,
        }
        for subscription_id, copy in copies.items()
    ]


def _frozen_fields(copy: Copy) -> dict[str, Any]:
    frozen = copy.frozen
    return {
        "state": frozen.state,
        "version": frozen.version,
        "sizing_mode": frozen.sizing_mode,
        "sizing_micros": frozen.sizing_micros,
        "max_per_trade_micros": frozen.max_per_trade_micros,
        "max_per_market_micros": frozen.max_per_market_micros,
        "max_slippage_micros": frozen.max_slippage_micros,
        "max_age_ms": frozen.max_age_ms,
        "settings": to_json(frozen.settings),
        **({} if frozen.scale_micros == UNSCALED_MICROS else {"scale_micros": frozen.scale_micros}),
        "ordered_money_micros": copy.ordered_money_micros,
        "owned_micros": copy.owned_micros,
        "judged_notional_micros": copy.judged_notional_micros,
        "judged_size_micros": copy.judged_size_micros,
        **{name: getattr(copy, name) for name in SPARSE if getattr(copy, name)},
        **({"awaited": [asdict(entry) for entry in copy.awaited]} if copy.awaited else {}),
        **({"withdrawn": list(copy.stale_keys)} if copy.stale_keys else {}),
    }
