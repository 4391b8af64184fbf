"""Rules of a simulation's time and settings. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from services.control import parsing
from services.control.subscriptions.rules import Group, settings_of
from tradingtools.domain.copy_settings import CopySettings, from_json
from tradingtools.domain.order import Follower
from tradingtools.domain.subscription import SizingMode, Subscription, SubscriptionState

DAY_MS = 86_400_000
_NOBODY = Follower(user_id="nobody", wallet_id="nobody", proxy="0x" + "0" * 40)
_COLUMNS = (
    "max_per_trade_micros",
    "max_per_market_micros",
    "max_slippage_micros",
    "max_age_ms",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """A part of the past, milliseconds since 1970."""

    since_ms: int
    until_ms: int


def time_of(
    now_ms: int, since_ms: int | None, until_ms: int | None, *, usual_days: int, max_days: int
) -> Time:
    """Return the time that is meant.

    Args:
        now_ms: the present instant.
        since_ms: as given.
        until_ms: as given.
        usual_days: of a time without a beginning.
        max_days: that it may have.

    Raises:
        InvalidField: it ends before it begins, or is too long.
    """
    until = now_ms if until_ms is None else min(until_ms, now_ms)
    since = until - usual_days * DAY_MS if since_ms is None else since_ms
    if since > until:
        raise parsing.refuse("fromMs", "no later than toMs and now")
    if until - since > max_days * DAY_MS:
        raise parsing.refuse("fromMs", f"at most {max_days} days before toMs")
    return Time(since_ms=since, until_ms=until)


def blank(leader: str) -> Subscription:
    """Return a follower who has no settings yet."""
    return Subscription(
        id="sub_" + "0" * 32,
        follower=_NOBODY,
        leader=leader,
        state=SubscriptionState.ACTIVE,
        version=1,
        sizing_mode=SizingMode.FIXED,
        sizing_micros=0,
        settings=CopySettings(),
    )


def stored(row: Any, leader: str) -> Subscription:
    """Return a subscription by its row as one that copies, paused or not.

    Args:
        row: of the subscription.
        leader: whom it follows here.
    """
    return Subscription(
        id=row["id"],
        follower=_NOBODY,
        leader=leader,
        state=SubscriptionState.ACTIVE,
        version=row["version"],
        sizing_mode=SizingMode(row["sizing_mode"]),
        sizing_micros=row["sizing_micros"],
        settings=from_json(row["settings"]),
        **{name: row[name] for name in _COLUMNS},
    )


def with_groups(subscription: Subscription, groups: Iterable[Group]) -> Subscription:
    """Return a subscription once each group has replaced its share of its settings.

    Raises:
        InvalidField: they contradict each other.
    """
    given = list(groups)
    columns: dict[str, Any] = {}
    for group in given:
        columns |= group.columns
    if "sizing_mode" in columns:
        columns["sizing_mode"] = SizingMode(columns["sizing_mode"])
    return replace(subscription, settings=settings_of(subscription.settings, given), **columns)
