"""Between contracts and values: requests into what the rules take, rows into messages."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from services.control import defaults_codec, manual_lots, settings_codec
from services.control.core import rules, trigger_rules
from services.control.messages import Fields, timestamp
from services.control.store import Row
from services.control.subscriptions import DecisionFilter
from tradingtools.domain import ids
from tradingtools.domain.money import MICROS, divided_half_even, to_text
from tradingtools.domain.order import Follower
from tradingtools.domain.trigger_types import MANUAL, TriggerType, rungs_from_fields
from tradingtools.v1 import control_service_pb2 as control
from tradingtools.v1 import operator_service_pb2 as operator
from tradingtools.v1 import trigger_service_pb2 as trigger


def new_subscription(request: control.CreateSubscriptionRequest) -> rules.NewSubscription:
    """What a create asks for; raises InvalidField."""
    return rules.new_subscription(
        follower=Follower(
            user_id=request.follower.follower_user_id,
            wallet_id=request.follower.follower_wallet_id,
            proxy=request.follower.follower_proxy,
        ),
        leader=request.leader,
        groups=(
            settings_codec.sizing_group(request.sizing),
            settings_codec.limits_group(request.limits),
            settings_codec.filters_group(request.filters),
            settings_codec.exits_group(request.exits),
            defaults_codec.triggers_group(request.triggers),
        ),
        shadow=request.shadow,
        start=settings_codec.start_mode(request),
    )


def given_groups(request: control.UpdateSubscriptionRequest) -> list[rules.Group]:
    """The groups that a change gives; raises InvalidField."""
    groups: list[rules.Group] = []
    if request.HasField("sizing"):
        groups.append(settings_codec.sizing_group(request.sizing))
    if request.HasField("limits"):
        groups.append(settings_codec.limits_group(request.limits))
    if request.HasField("filters"):
        groups.append(settings_codec.filters_group(request.filters))
    if request.HasField("exits"):
        groups.append(settings_codec.exits_group(request.exits))
    if request.HasField("triggers"):
        groups.append(defaults_codec.triggers_group(request.triggers))
    return groups


def decision_filter(request: control.ListSubscriptionDecisionsRequest) -> DecisionFilter:
    """Which decisions a list asks for."""
    return DecisionFilter(
        reason=request.reason,
        from_ms=request.from_ms if request.HasField("from_ms") else None,
        to_ms=request.to_ms if request.HasField("to_ms") else None,
        copied=request.copied if request.HasField("copied") else None,
        leader_tx=request.leader_tx.lower(),
    )


def new_trigger(request: trigger.CreateTriggerRequest) -> rules.NewTrigger:
    """What a create asks for; raises InvalidField."""
    name = trigger.TriggerType.Name(request.trigger_type)
    kind = TriggerType(name.removeprefix("TRIGGER_TYPE_"))
    terms = trigger_terms(request, request.trigger_price or None)
    trigger_rules.check_terms(kind, terms)
    manual = manual_lots.asked(request)
    return rules.NewTrigger(
        wallet=rules.canonical(ids.wallet, request.wallet, "wallet"),
        condition_id=rules.canonical(ids.hash32, request.condition_id, "conditionId"),
        asset_id=rules.canonical(ids.asset, request.asset_id, "assetId"),
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
        price_micros=rules.within_one(price, "triggerPrice"),
        size_micros=rules.trigger_size(request.size if request.HasField("size") else None),
        callback_micros=rules.within_one(absolute, "callbackPrice"),
        callback_ppm=rules.within_one(fraction, "callbackFraction"),
        fire_at_ms=request.fire_at_ms if request.HasField("fire_at_ms") else None,
        rungs=trigger_rules.rungs([(rung.trigger_price, rung.fraction) for rung in request.rungs]),
        break_even=request.break_even if request.HasField("break_even") else None,
        two_ticks=request.two_ticks if request.HasField("two_ticks") else None,
    )


def subscription(row: Row) -> Fields:
    """A subscription's row."""
    return {
        "id": row["id"],
        "follower": {
            "follower_user_id": row["follower_user_id"],
            "follower_wallet_id": row["follower_wallet_id"],
            "follower_proxy": row["follower_proxy"],
        },
        "leader": row["leader"],
        "state": f"SUBSCRIPTION_STATE_{row['state']}",
        "version": row["version"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        **settings_codec.described(row),
        **defaults_codec.described(row),
    }


def statistics(row: Row) -> Fields:
    """The sums of a subscription's row as it is shown."""
    paper = {}
    if row["settings"].get("shadow"):
        paper = {
            "paper_bought": to_text(row["paper_bought"]),
            "paper_sold": to_text(row["paper_sold"]),
            "paper_open_cost": to_text(row["paper_open_cost"]),
        }
    return {
        **paper,
        "leader_trades": row["leader_trades"],
        "copied": row["copied"],
        "skipped": row["leader_trades"] - row["copied"],
        "orders_confirmed": row["confirmed"],
        "orders_failed": row["failed"],
        "orders_unresolved": row["unresolved"],
        "bought": to_text(row["bought"]),
        "sold": to_text(row["sold"]),
        "fees": to_text(row["fees"]),
        "realised": to_text(row["realised"]),
        "open_cost": to_text(row["open_cost"]),
    }


def fill(row: Row) -> Fields:
    """A fill's row; the price is notional by size, half-even, for people."""
    return {
        "order_id": row["order_key"],
        "trade_id": row["trade_id"],
        "condition_id": row["condition_id"],
        "asset_id": row["asset_id"],
        "side": f"SIDE_{row['side']}",
        "size": to_text(row["size_micros"]),
        "price": to_text(divided_half_even(row["notional_micros"] * MICROS, row["size_micros"])),
        "notional": to_text(row["notional_micros"]),
        "fee": to_text(row["fee_micros"]),
        "final": row["final"],
        "filled_at": row["matched_at"],
        "leader_tx": row["leader_tx"],
        "trigger_id": row["trigger_id"] or "",
    }


def decision(row: Row) -> Fields:
    """A decision's row."""
    paper = {}
    if row["paper_size_micros"]:
        paper = {
            "paper_size": to_text(abs(row["paper_size_micros"])),
            "paper_notional": to_text(abs(row["paper_notional_micros"] or 0)),
        }
    return {
        **paper,
        "leader_tx": row["leader_tx"],
        "condition_id": row["condition_id"],
        "asset_id": row["asset_id"],
        "side": f"SIDE_{row['side']}",
        "leader_size": to_text(row["leader_size_micros"]),
        "leader_notional": to_text(int(row["leader_notional_micros"])),
        "copied": row["copied"],
        "reason": row["reason"],
        "detail": row["detail"],
        "order_ids": row["order_keys"],
        "orders": [
            {
                "id": key,
                "state": f"ORDER_STATE_{state}",
                "reason": reason,
                "filled_size": to_text(filled),
            }
            for key, state, reason, filled in row["orders"] or ()
        ],
        "decided_at": row["decided_at"],
    }


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


def breaker(row: Row) -> operator.Breaker:
    """A circuit breaker's row."""
    retry_at = Timestamp()
    retry_at.FromMilliseconds(row["retry_at_ms"])
    return operator.Breaker(
        dependency=row["dependency"],
        state=operator.BreakerState.Value(f"BREAKER_STATE_{row['state']}"),
        reason=row["reason"],
        openings=row["openings"],
        retry_at=retry_at if row["retry_at_ms"] else None,
        prober=row["prober"],
        changed_at=timestamp(row["changed_at"]),
    )


def halt(row: Row) -> operator.Halt:
    """A halt's row."""
    return operator.Halt(
        scope=operator.HaltScope.Value(f"HALT_SCOPE_{row['scope']}"),
        subject=row["subject"],
        mode=operator.HaltMode.Value(f"HALT_MODE_{row['mode']}"),
        reason=row["reason"],
        set_at=timestamp(row["set_at"]),
    )
