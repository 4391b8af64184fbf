"""Lots and performance as messages."""

from __future__ import annotations

from services.control.messages import Fields
from services.control.positions.drift import Outcome
from services.control.positions.drift_rules import unexplained
from services.control.statistics.valuation import Valuation
from services.control.store import Row
from tradingtools.domain.money import to_text
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import holding_service_pb2 as pb


def position(lot: Row, worth: Valuation | None) -> Fields:
    """A lot's row, with what it is worth."""
    shown = {
        "condition_id": lot["condition_id"],
        "asset_id": lot["asset_id"],
        "size": to_text(lot["shares_micros"]),
        "cost": to_text(lot["cost_micros"]),
        "bought_size": to_text(lot["bought_size_micros"]),
        "bought": to_text(lot["bought_notional_micros"]),
        "sold_size": to_text(lot["sold_size_micros"]),
        "sold": to_text(lot["sold_notional_micros"]),
        "fees": to_text(lot["fee_micros"]),
        "realised": to_text(lot["realised_micros"]),
        "updated_at": lot["updated_at"],
        "resolved_size": to_text(lot["resolved_size_micros"]),
        "payout": to_text(lot["payout_micros"]),
    }
    if lot["redemption"] is not None:
        shown["redemption"] = f"REDEMPTION_STATE_{lot['redemption']}"
    if worth is not None:
        shown["value"] = to_text(worth.value_micros)
        shown["sellable_size"] = to_text(worth.sellable_micros)
        shown["unrealised"] = to_text(worth.value_micros - lot["cost_micros"])
    if lot["slippage"] is not None:
        shown["slippage"] = to_text(lot["slippage"])
    return shown


def drift(outcome: Outcome) -> pb.Drift:
    """Return what an outcome would be beside what it is."""
    missing = unexplained(outcome.ideal_micros, outcome.held_micros, outcome.shortfalls)
    message = pb.Drift(
        condition_id=outcome.condition_id,
        asset_id=outcome.asset_id,
        ideal_size=to_text(outcome.ideal_micros),
        size=to_text(outcome.held_micros),
        unexplained_size=to_text(missing),
        lots_size=to_text(outcome.lots_micros),
    )
    for one in outcome.shortfalls:
        shown = message.reasons.add(
            reason=one.reason, side=common.Side.Value(f"SIDE_{one.side}"), number=one.number
        )
        if one.size_micros is not None:
            shown.size = to_text(one.size_micros)
    if outcome.wallet_micros is not None:
        message.wallet_size = to_text(outcome.wallet_micros)
        message.foreign_size = to_text(outcome.wallet_micros - outcome.lots_micros)
    return message
