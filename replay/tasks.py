"""The questions that `tt` and control ask: a simulation, a preview of settings, a backtest.

Each is JSON in and JSON out, in a process of its own that ends with the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from replay import analytics, history, tape
from replay.core.answer import assumptions, outcome
from replay.core.copying import PaperFollower
from replay.errors import Refused
from tradingtools.domain.subscription import Subscription
from tradingtools.storage import recordings

_NOT_KNOWN = (
    "other subscriptions of the wallet, halts, stops, take-profits and performance rules are not"
    " part of it"
)


class Simulation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Follow one leader of the analytical store."""

    subscription: Subscription
    since_ms: int
    until_ms: int
    delay_seconds: int
    fee_rate_micros: int
    budget_micros: int | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Follow recorded leaders by several settings, side by side."""

    subscriptions: list[Subscription]
    since_ms: int
    until_ms: int
    budget_micros: int | None = None


def simulate(request: Simulation, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what a follower would have made of a leader. Raises Refused, Unavailable,
    WrongTypes."""
    desired = history.HistoryRequest(
        wallet=request.subscription.leader,
        since_ms=request.since_ms,
        until_ms=request.until_ms,
        delay_seconds=request.delay_seconds,
        fee_rate_micros=request.fee_rate_micros,
    )
    with ExitStack() as stack:
        product = stack.enter_context(analytics.opened(environ, own=False))
        own = stack.enter_context(analytics.opened(environ, own=True))
        if product is None:
            raise Refused("no analytical store is here: TT_CLICKHOUSE_URL or TT_ANALYTICS_DIR")
        known = history.load(product, own, desired)
    follower = PaperFollower(request.subscription, request.budget_micros)
    follower.follow(known.events)
    unknown = [*known.unknown, *assumptions(follower), _NOT_KNOWN]
    if known.first_ms is None:
        unknown.insert(0, "nothing is known of this leader")
    elif known.first_ms > request.since_ms:
        unknown.insert(0, f"his record begins at {_instant(known.first_ms)}")
    return {
        "trades": known.trades,
        "outcome": outcome(follower, known.marks),
        "unknown": unknown,
    }


def compare(request: Comparison, directory: Path) -> dict[str, Any]:
    """Return what each of the settings would have made of the recorded trades of its leader.

    Raises:
        Refused: nothing is recorded.
    """
    leaders = {each.leader for each in request.subscriptions}
    days = list(_days(directory, request.since_ms, request.until_ms))
    recorded = tape.read(directory, days, leaders, request.since_ms, request.until_ms)
    outcomes, unknown = [], dict[str, None]()
    for subscription in request.subscriptions:
        follower = PaperFollower(subscription, request.budget_micros)
        follower.follow(s for s in recorded.seen if s.trade.key.leader == subscription.leader)
        outcomes.append(outcome(follower, recorded.marks))
        unknown |= dict.fromkeys(assumptions(follower))
    notes = [
        *([] if recorded.seen else ["nothing is recorded of the leader within the time"]),
        "what was held before the time is not there: caps and exits begin with nothing",
        "what is held at its end is worth the last bid that was recorded",
        *unknown,
        _NOT_KNOWN,
        *(f"a recording is damaged: {each}" for each in recorded.damaged),
    ]
    answer: dict[str, Any] = {
        "trades": len({seen.trade.key for seen in recorded.seen}),
        "outcomes": outcomes,
        "unknown": notes,
    }
    if recorded.first_ms is not None and recorded.last_ms is not None:
        answer["recorded_from_ms"], answer["recorded_to_ms"] = recorded.first_ms, recorded.last_ms
    return answer


def _days(directory: Path, since_ms: int, until_ms: int) -> Iterable[date]:
    first = recordings.day_of(since_ms)
    last = recordings.day_of(until_ms)
    return (day for day in recordings.days(directory) if first <= day <= last)


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
