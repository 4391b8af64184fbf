"""Rules on a subscription's performance: when it stops on a loss, and how it scales with profit.

Before it come control's rules, which made these values of what a caller wrote; after it perfmon,
which judges by them. The JSON form is what the column ``subscription.performance`` holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from tradingtools.domain.money import MICROS

UNSCALED_MICROS = MICROS
"""The scale of a subscription that no rule has scaled."""


class Window(StrEnum):
    """Since when a loss is counted."""

    SESSION = "SESSION"
    """The subscription was made or resumed."""
    DAY = "DAY"
    """Midnight in perfmon's time zone."""
    FROM_PEAK = "FROM_PEAK"
    """The best result since the baseline."""
    TOTAL = "TOTAL"
    """The baseline: the subscription was made, or resumed after a loss stop."""


class LossAction(StrEnum):
    """The action of a loss stop."""

    PAUSE = "PAUSE"
    """Pause the subscription."""
    PAUSE_AND_EXIT = "PAUSE_AND_EXIT"
    """Pause it, and sell all that it holds."""
    REDUCE_ONLY = "REDUCE_ONLY"
    """Pause it, and let its wallet only sell until an operator allows more."""


class Scope(StrEnum):
    """The scope whose result is judged."""

    SUBSCRIPTION = "SUBSCRIPTION"
    WALLET = "WALLET"
    """That of all subscriptions of the follower's wallet."""


class OnLoss(StrEnum):
    """The effect of a step down on the scale."""

    STEP_DOWN = "STEP_DOWN"
    """Divide it by the factor."""
    RESET = "RESET"
    """Set it to 1; one that is below stays."""


class Limit(msgspec.Struct, frozen=True, omit_defaults=True):
    """The loss that is allowed; exactly one of the two."""

    amount_micros: int | None = None
    """USDC."""
    fraction_micros: int | None = None
    """Of the wallet's equity."""


class LossStop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The limits of a subscription's losses; None: no such limit."""

    action: LossAction
    session: Limit | None = None
    day: Limit | None = None
    from_peak: Limit | None = None
    total: Limit | None = None
    scope: Scope = Scope.SUBSCRIPTION

    def limits(self) -> dict[Window, Limit]:
        """Return those that there are, by window."""
        found = {
            Window.SESSION: self.session,
            Window.DAY: self.day,
            Window.FROM_PEAK: self.from_peak,
            Window.TOTAL: self.total,
        }
        return {window: limit for window, limit in found.items() if limit is not None}


class ProfitScale(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rule by which the size of copies follows the result."""

    step_micros: int
    """USDC of profit for one step up, of loss for one step down."""
    factor_micros: int
    """By which a step multiplies the scale; more than 1."""
    min_micros: int
    max_micros: int
    """Of the scale; 1 is between them."""
    cooldown_seconds: int = 0
    """After a step, before the next one up."""
    on_loss: OnLoss = OnLoss.STEP_DOWN


class Performance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rules of one subscription."""

    loss_stop: LossStop | None = None
    profit_scale: ProfitScale | None = None

    @property
    def by_fraction(self) -> bool:
        """Return whether some limit is a fraction of the wallet's equity."""
        stop = self.loss_stop
        return stop is not None and any(
            limit.fraction_micros is not None for limit in stop.limits().values()
        )


def to_json(rules: Performance) -> dict[str, Any]:
    """Return the rules as JSON values; none at all: empty."""
    found: dict[str, Any] = msgspec.to_builtins(rules)
    return found


def from_json(values: Mapping[str, Any]) -> Performance:
    """Return the rules of their JSON form. Raises msgspec.ValidationError: it is none of ours."""
    return msgspec.convert(values, Performance)


class ActionKind(StrEnum):
    """An action that perfmon asks for."""

    STOP = "STOP"
    SCALE = "SCALE"


def action_id(subscription_id: str, ordinal: int) -> str:
    """Return the name of a subscription's next action.

    The same for whoever asks for it, after a crash or beside another perfmon: control does it once.

    Args:
        subscription_id: whose.
        ordinal: how many it has had.
    """
    digest = hashlib.sha256(f"{subscription_id}:{ordinal}".encode()).hexdigest()
    return f"prf_{digest[:32]}"


def exit_id(action: str, asset_id: str) -> str:
    """Return the id of the trigger by which an action sells an outcome."""
    digest = hashlib.sha256(f"{action}:{asset_id}".encode()).hexdigest()
    return f"trg_{digest[:32]}"


def within(rules: Performance, scale_micros: int) -> int:
    """Return a scale as the rules allow it; without a rule it is 1."""
    bounds = rules.profit_scale
    if bounds is None:
        return UNSCALED_MICROS
    return min(max(scale_micros, bounds.min_micros), bounds.max_micros)
