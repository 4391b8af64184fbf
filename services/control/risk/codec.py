"""Limits of many bots, their use and the kill switch, as the contract has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from services.control import parsing
from services.control.messages import Fields, timestamp
from services.control.store import Row
from tradingtools.domain import money
from tradingtools.domain.portfolio_risk import LimitReached, ScopeLimit
from tradingtools.domain.portfolio_usage import Usage
from tradingtools.v1 import risk_service_pb2 as pb

_SCOPE = "RISK_SCOPE_"


def values(limits: pb.ScopeLimits) -> dict[ScopeLimit, int]:
    """Return the limits that a client sets, in micros. Raises InvalidField."""
    return {
        ScopeLimit(field.name): parsing.amount(text, f"limits.{field.json_name}")
        for field, text in limits.ListFields()
    }


def limits(row: Row) -> Fields:
    """Return a scope's limits."""
    return {
        "tenant": row["tenant"],
        "scope": f"{_SCOPE}{row['scope']}",
        "subject": row["subject"],
        "instruments": list(row["instruments"]),
        "limits": {name: money.to_text(micros) for name, micros in row["limits"].items()},
        "changed_by": row["changed_by"],
        "changed_at": timestamp(row["changed_at"]),
    }


def no_limits(tenant: str, scope: str, subject: str) -> Fields:
    """Return a scope that has none."""
    return {"tenant": tenant, "scope": f"{_SCOPE}{scope}", "subject": subject}


def usage(of: Fields, used: Usage, reached: Iterable[LimitReached]) -> Fields:
    """Return how much of a scope is used.

    Args:
        of: its limits.
        used: as it is counted.
        reached: limits of it.
    """
    return {
        "limits": of,
        "gross": money.to_text(used.gross_micros),
        "net": money.to_text(used.net_micros),
        "long": money.to_text(used.long_micros),
        "short": money.to_text(used.short_micros),
        "market": used.market,
        "market_gross": money.to_text(used.market_micros),
        "copies": money.to_text(used.copies_micros),
        "result": money.to_text(used.result_micros),
        "day_loss": money.to_text(used.day_loss_micros),
        "drawdown": money.to_text(used.drawdown_micros),
        "oldest_ms": used.oldest_ms,
        "reached": [
            {
                "limit": str(one.limit),
                "action": str(one.action),
                "market": one.market,
                "detail": one.detail,
            }
            for one in reached
        ],
    }


def breach(row: Row) -> Fields:
    """Return a limit that was reached once."""
    found: Fields = {name: row[name] for name in ("scope", "subject", "action", "detail")}
    return found | {
        "limit": row["limit_name"],
        "occurred_at": timestamp(row["occurred_at"]),
    }


def kill_switch(row: Row) -> Fields:
    """Return a kill switch with its progress."""
    found: Fields = {name: row[name] for name in ("id", "tenant", "exchange", "reason", "actor")}
    found |= {
        "cleared_by": row["cleared_by"] or "",
        "wallets": [_wallet(one) for one in row["wallets"] or ()],
    }
    for name in ("set_at", "done_at", "cleared_at"):
        if row[name] is not None:
            found[name] = timestamp(row[name])
    return found


def _wallet(one: Mapping[str, Any]) -> Fields:
    found: Fields = {
        name: one[name]
        for name in ("wallet_id", "phase", "engine", "bots", "orders", "holdings", "detail")
    }
    for name in ("last_arrival_at", "changed_at"):
        if one[name] is not None:
            found[name] = timestamp(datetime.fromisoformat(one[name]))
    return found
