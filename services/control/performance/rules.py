"""Judge whether a performance action may be done, and what it changes. Pure.

Before it: perfmon's request, and the subscription as it is, locked. After it: `store`, which
writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.control.parsing import refuse
from tradingtools.domain.errors import Conflict, WrongState
from tradingtools.domain.performance import (
    ActionKind,
    LossAction,
    Performance,
    from_json,
    within,
)
from tradingtools.domain.subscription import SubscriptionState

KIND = "subscription"
PERSON, PERFORMANCE = "PERSON", "PERFORMANCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action that perfmon requests; amounts in micros."""

    id: str
    subscription_id: str
    version: int
    """Of the subscription, that was judged."""
    ordinal: int
    """How many actions it had had."""
    stop: LossAction | None
    """None: a step of the scale."""
    scale_micros: int
    """Of a step."""
    anchor_micros: int
    evidence: Mapping[str, Any]

    @property
    def kind(self) -> ActionKind:
        """Return what it is."""
        return ActionKind.SCALE if self.stop is None else ActionKind.STOP


def changed(row: Mapping[str, Any], action: Action, reason: str) -> dict[str, Any]:
    """Return the columns that an action changes.

    Args:
        row: of the subscription, as it is.
        action: that is asked for.
        reason: why, for people.

    Raises:
        Conflict: the subscription is not as it was judged.
        WrongState: it is deleted, or stopped already.
        InvalidField: its rules say otherwise.
    """
    _refuse_other(row, action)
    rules = from_json(row["performance"])
    if action.stop is None:
        _check_scale(rules, row, action)
        return {"scale_micros": action.scale_micros}
    if rules.loss_stop is None or rules.loss_stop.action is not action.stop:
        raise refuse("stop", "the action of the subscription's loss stop")
    return {
        "state": SubscriptionState.PAUSED.value,
        "version": row["version"] + 1,
        "paused_by": PERFORMANCE,
        "pause_reason": reason,
        "exiting": action.stop is LossAction.PAUSE_AND_EXIT,
    }


def _refuse_other(row: Mapping[str, Any], action: Action) -> None:
    who = {"kind": KIND, "id": action.subscription_id}
    if row["state"] == SubscriptionState.DELETED:
        raise WrongState("the subscription is deleted", **who, state=row["state"])
    if row["paused_by"] == PERFORMANCE:
        raise WrongState("its loss stop has acted; a person resumes it", **who, state=row["state"])
    if row["version"] != action.version:
        raise Conflict(f"the subscription has version {row['version']}", **who)
    if row["performance_actions"] != action.ordinal:
        raise Conflict(f"it has had {row['performance_actions']} actions", **who)


def _check_scale(rules: Performance, row: Mapping[str, Any], action: Action) -> None:
    if rules.profit_scale is None or within(rules, action.scale_micros) != action.scale_micros:
        raise refuse("scale_micros", "within the bounds of the subscription's profit scale")
    if row["scale_micros"] == action.scale_micros:
        raise refuse("scale_micros", "another scale than the present one")


def resumed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that change, besides the state, when a person resumes a subscription."""
    found: dict[str, Any] = {
        "paused_by": None, "pause_reason": "", "exiting": False, "session": row["session"] + 1,
    }  # fmt: skip
    if row["paused_by"] == PERFORMANCE:
        found["baseline"] = row["baseline"] + 1
        found["scale_micros"] = within(Performance(), row["scale_micros"])
    return found
