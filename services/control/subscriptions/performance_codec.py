"""A subscription's performance rules between their message and the column that keeps them, and who
paused it.

Beside `settings_codec`, which has the other groups; before it come requests that the contracts'
patterns have checked.
"""

from __future__ import annotations

from google.protobuf.message import Message

from services.control import parsing
from services.control.messages import Fields
from services.control.store import Row
from services.control.subscriptions import rules
from services.control.subscriptions.rules import Group
from tradingtools.domain.money import MICROS, to_text
from tradingtools.domain.performance import (
    UNSCALED_MICROS,
    Limit,
    LossAction,
    LossStop,
    OnLoss,
    Performance,
    ProfitScale,
    Scope,
    from_json,
    to_json,
)
from tradingtools.domain.subscription import SubscriptionState
from tradingtools.v1 import control_service_pb2 as control

_WINDOWS = ("session", "day", "from_peak", "total")


def performance_group(message: control.PerformanceRules) -> Group:
    """Performance rules as given; raises InvalidField."""
    given = Performance(
        loss_stop=_loss_stop(message.loss_stop) if message.HasField("loss_stop") else None,
        profit_scale=_scale(message.profit_scale) if message.HasField("profit_scale") else None,
    )
    return Group(columns={"performance": to_json(given)}, names=frozenset(), settings={})


def _loss_stop(message: control.LossStop) -> LossStop:
    limits = {
        name: _limit(getattr(message, name), f"performance.lossStop.{_CAMEL.get(name, name)}")
        for name in _WINDOWS
        if message.HasField(name)  # type: ignore[arg-type]
    }
    if not limits:
        raise parsing.refuse(
            "performance.lossStop", "at least one of session, day, fromPeak and total"
        )
    return LossStop(
        action=LossAction(_name(message, "action", "LOSS_ACTION_")),
        scope=Scope(_name(message, "scope", "PERFORMANCE_SCOPE_") or Scope.SUBSCRIPTION),
        **limits,
    )


_CAMEL = {"from_peak": "fromPeak"}


def _limit(message: control.LossLimit, field: str) -> Limit:
    if message.WhichOneof("limit") == "amount":
        micros = parsing.amount(message.amount, f"{field}.amount")
        if micros == 0:
            raise parsing.refuse(f"{field}.amount", "more than 0")
        return Limit(amount_micros=micros)
    return Limit(fraction_micros=parsing.within_one(message.fraction, f"{field}.fraction"))


def _scale(message: control.ProfitScale) -> ProfitScale:
    at = "performance.profitScale"
    step = parsing.amount(message.step, f"{at}.step")
    factor = rules.factor(message.factor, f"{at}.factor")
    low = parsing.amount(message.min, f"{at}.min")
    high = rules.factor(message.max, f"{at}.max")
    if step == 0:
        raise parsing.refuse(f"{at}.step", "more than 0")
    if factor <= MICROS:
        raise parsing.refuse(f"{at}.factor", "more than 1")
    if not 0 < low <= UNSCALED_MICROS:
        raise parsing.refuse(f"{at}.min", "more than 0 and at most 1")
    return ProfitScale(
        step_micros=step,
        factor_micros=factor,
        min_micros=low,
        max_micros=high,
        cooldown_seconds=message.cooldown_seconds,
        on_loss=OnLoss(_name(message, "on_loss", "ON_LOSS_") or OnLoss.STEP_DOWN),
    )


def _name(message: Message, field: str, prefix: str) -> str:
    """Return an enum's value without its prefix; empty when it is absent."""
    number = getattr(message, field)
    kind = message.DESCRIPTOR.fields_by_name[field].enum_type
    if kind is None or not number:
        return ""
    return str(kind.values_by_number[number].name).removeprefix(prefix)


def to_fields(row: Row) -> Fields:
    """A row's rules, its scale, and who paused it, as fields of a subscription."""
    shown: Fields = {}
    given = from_json(row["performance"])
    if given != Performance():
        shown["performance"] = _rules(given)
    if row["scale_micros"] != UNSCALED_MICROS:
        shown["scale"] = to_text(row["scale_micros"])
    if row["state"] == SubscriptionState.PAUSED and row["paused_by"]:
        shown["paused_by"] = f"PAUSED_BY_{row['paused_by']}"
        shown["paused_since"] = row["paused_at"]
        if row["pause_reason"]:
            shown["pause_reason"] = row["pause_reason"]
    return shown


def _rules(given: Performance) -> Fields:
    shown: Fields = {}
    stop, scale = given.loss_stop, given.profit_scale
    if stop is not None:
        limits = {name: getattr(stop, name) for name in _WINDOWS}
        shown["loss_stop"] = {
            **{name: _limit_fields(limit) for name, limit in limits.items() if limit is not None},
            "action": f"LOSS_ACTION_{stop.action}",
        }
        if stop.scope is not Scope.SUBSCRIPTION:
            shown["loss_stop"]["scope"] = f"PERFORMANCE_SCOPE_{stop.scope}"
    if scale is not None:
        shown["profit_scale"] = {
            "step": to_text(scale.step_micros),
            "factor": to_text(scale.factor_micros),
            "min": to_text(scale.min_micros),
            "max": to_text(scale.max_micros),
        }
        if scale.cooldown_seconds:
            shown["profit_scale"]["cooldown_seconds"] = scale.cooldown_seconds
        if scale.on_loss is not OnLoss.STEP_DOWN:
            shown["profit_scale"]["on_loss"] = f"ON_LOSS_{scale.on_loss}"
    return shown


def _limit_fields(limit: Limit) -> Fields:
    if limit.amount_micros is not None:
        return {"amount": to_text(limit.amount_micros)}
    return {"fraction": to_text(limit.fraction_micros or 0)}
