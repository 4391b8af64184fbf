"""Rows as copies and misses, and groups of them as messages of REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.control.messages import Fields
from services.control.quality.copies import Copy, MissedCopy, MissedTotals, Quality, Sizing, of_skip
from tradingtools.domain.copy_settings import from_json
from tradingtools.domain.money import to_text
from tradingtools.domain.subscription import SizingMode

_ENDED = frozenset({"CONFIRMED", "FAILED", "LOST"})


def copy(row: Mapping[str, Any]) -> Copy:
    """Return the copy of an order's row."""
    answered = row["received_ns"] > 0 and row["answered_ns"] >= row["received_ns"]
    return Copy(
        order_id=row["order_key"],
        subscription_id=row["subscription_id"],
        leader=row["leader"],
        condition_id=row["condition_id"],
        asset_id=row["asset_id"],
        buys=row["side"] == "BUY",
        ended=row["state"] in _ENDED,
        reason=row["reason"],
        made_s=row["made_s"],
        size_micros=row["size_micros"],
        filled_size_micros=row["filled_size_micros"],
        filled_notional_micros=row["filled_notional_micros"],
        fee_micros=row["fee_micros"],
        delay_us=(row["answered_ns"] - row["received_ns"]) // 1000 if answered else None,
        leader_size_micros=row["leader_size_micros"],
        leader_notional_micros=int(row["leader_notional_micros"]),
    )


def sizing(row: Mapping[str, Any]) -> Sizing:
    """Return what a subscription's row wants of each trade."""
    settings = from_json(row["settings"])
    return Sizing(
        mode=SizingMode(row["sizing_mode"]),
        micros=row["sizing_micros"],
        multiplier_micros=settings.multiplier_micros,
        max_per_trade_micros=row["max_per_trade_micros"],
        tiers=settings.tiers,
    )


def skip(row: Mapping[str, Any], sizings: Mapping[str, Sizing]) -> MissedCopy:
    """Return what a decision's row has missed."""
    leader = (row["leader_size_micros"], int(row["leader_notional_micros"]))
    of = sizings[row["subscription_id"]]
    return of_skip(row["reason"], row["asset_id"], row["side"] == "BUY", leader, of)


def group(of: Quality) -> Fields:
    """Return a group as fields of the contract."""
    median, ninetieth = of.delays_us or (None, None)
    return {
        "key": of.key,
        "orders": of.orders,
        "filled_orders": of.filled_orders,
        "filled_fraction": of.filled_size_micros / of.size_micros if of.size_micros else None,
        "notional": to_text(of.notional_micros),
        "fees": to_text(of.fee_micros),
        "slippage": to_text(of.slippage_micros),
        "slippage_ticks": of.slippage_ticks,
        "delay_p50_us": median,
        "delay_p90_us": ninetieth,
        "made": _text(of.made_micros),
        "leader_made": _text(of.leader_made_micros),
        "tracking_error": to_text(of.tracking_micros),
    }


def missed(of: MissedTotals) -> Fields:
    """Return what was missed for a reason as fields of the contract."""
    return {
        "reason": of.reason,
        "number": of.number,
        "unknown": of.unknown,
        "cost": to_text(of.cost_micros),
        "made": to_text(of.made_micros),
    }


def total(of: Iterable[MissedTotals]) -> MissedTotals:
    """Return the whole that the parts add up to."""
    parts = list(of)
    return MissedTotals(
        reason="",
        number=sum(part.number for part in parts),
        unknown=sum(part.unknown for part in parts),
        cost_micros=sum(part.cost_micros for part in parts),
        made_micros=sum(part.made_micros for part in parts),
    )


def _text(micros: int | None) -> str | None:
    return None if micros is None else to_text(micros)
