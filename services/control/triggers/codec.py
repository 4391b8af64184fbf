"""Triggers between contracts and values."""

from __future__ import annotations

from collections.abc import Iterable

from services.control import parsing
from services.control.messages import Fields, timestamp
from services.control.store import Row
from services.control.triggers import manual_lots, rules
from tradingtools.domain import ids
from tradingtools.domain.money import to_text
from tradingtools.domain.trigger_types import MANUAL, TriggerType, rungs_from_fields
from tradingtools.v1 import trigger_service_pb2 as trigger


def new_trigger(request: trigger.CreateTriggerRequest) -> rules.NewTrigger:
    """Read the new trigger from a create; raises InvalidField."""
    name = trigger.TriggerType.Name(request.trigger_type)
    kind = TriggerType(name.removeprefix("TRIGGER_TYPE_"))
    terms = trigger_terms(request, request.trigger_price or None)
    rules.check_terms(kind, terms)
    manual = manual_lots.parse(request)
    return rules.NewTrigger(
        wallet=parsing.canonical(ids.wallet, request.wallet, "wallet"),
        condition_id=parsing.canonical(ids.hash32, request.condition_id, "conditionId"),
        asset_id=parsing.canonical(ids.asset, request.asset_id, "assetId"),
        trigger_type=kind,
        terms=terms,
        origin=MANUAL if manual is not None else request.subscription_id,
        manual=manual,
    )


def trigger_terms(
    request: trigger.CreateTriggerRequest | trigger.UpdateTriggerRequest, price: str | None
) -> rules.TriggerTerms:
    """The terms that a request gives, absent ones as None; raises InvalidField."""
    chosen = request.WhichOneof("callback")
    absolute = request.callback_price if chosen == "callback_price" else None
    fraction = request.callback_fraction if chosen == "callback_fraction" else None
    return rules.TriggerTerms(
        price_micros=parsing.within_one(price, "triggerPrice"),
        size_micros=rules.trigger_size(request.size if request.HasField("size") else None),
        callback_micros=parsing.within_one(absolute, "callbackPrice"),
        callback_ppm=parsing.within_one(fraction, "callbackFraction"),
        fire_at_ms=request.fire_at_ms if request.HasField("fire_at_ms") else None,
        rungs=rules.rungs([(rung.trigger_price, rung.fraction) for rung in request.rungs]),
        break_even=request.break_even if request.HasField("break_even") else None,
        two_ticks=request.two_ticks if request.HasField("two_ticks") else None,
    )


def trigger_fields(row: Row) -> Fields:
    """A trigger's row."""
    kind, rungs = TriggerType(row["trigger_type"]), rungs_from_fields(row["rungs"])
    shown: Fields = {
        "id": row["id"],
        "wallet": row["follower_proxy"],
        "condition_id": row["condition_id"],
        "asset_id": row["asset_id"],
        "side": "sell",
        "trigger_type": f"TRIGGER_TYPE_{kind}",
        "trigger_price": _text(row["price_micros"]) or "",
        "size": _text(row["size_micros"]),
        "status": _status(row["status"]),
        "subscription_id": "" if row["origin"] == MANUAL else row["origin"],
        "version": row["version"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "generation": row["generation"],
        "callback_price": _text(row["callback_micros"]),
        "callback_fraction": _text(row["callback_ppm"]),
        "peak_price": _text(row["peak_micros"]),
        "fire_at_ms": row["fire_at_ms"],
        "rungs": [
            {
                "trigger_price": to_text(rung.price_micros),
                "fraction": to_text(rung.share_ppm) if rung.share_ppm else "",
            }
            for rung in rungs
        ],
    }
    # What only some kinds have.
    if rungs:
        shown["rungs_sold"] = row["rungs_done"]
    if kind is TriggerType.STOP_LOSS:
        shown["break_even"] = row["break_even"]
    if kind is not TriggerType.TIME_STOP:
        shown["two_ticks"] = row["two_ticks"]
    return shown


def _text(micros: int | None) -> str | None:
    return None if micros is None else to_text(micros)


def _status(text: str) -> str:
    return f"TRIGGER_STATUS_{text or 'UNSPECIFIED'}"


def statuses(given: Iterable[trigger.TriggerStatus.ValueType]) -> list[str]:
    """Statuses that a list asks for as stored, each once."""
    names = {trigger.TriggerStatus.Name(one) for one in given}
    return sorted(name.removeprefix("TRIGGER_STATUS_") for name in names)


def history_entry(row: Row) -> trigger.TriggerHistoryEntry:
    """A trigger event's row."""
    return trigger.TriggerHistoryEntry(
        from_status=trigger.TriggerStatus.Value(_status(row["from_status"])),
        to_status=trigger.TriggerStatus.Value(_status(row["to_status"])),
        occurred_at=timestamp(row["occurred_at"]),
        detail=row["detail"],
        order_id=row["order_key"],
    )
