"""Judge what probes of processes, disks and sums have found: which alerts hold now.

Before it: `checks`, which ask. After it: :func:`changes`, whose signals `open_alerts` takes. What
could not be checked says nothing: it neither begins nor ends an alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from services.alerts.core.rules import Rule
from services.alerts.core.signals import Facts, Signal, group_of
from tradingtools.domain.money import MICROS, to_text

Holds = Mapping[str, Facts]
"""By key, the alerts of a rule that hold."""
WHOLE = ""
"""The name under which a process's health tells of the process itself."""


class Health(Struct, frozen=True, kw_only=True):
    """A process's answer about its health; ``statuses`` is None when it did not answer."""

    process: str
    target: str
    statuses: Mapping[str, bool] | None


class Disk(Struct, frozen=True, kw_only=True):
    """A file system: bytes."""

    path: str
    free: int
    size: int


def not_serving(answers: Iterable[Health]) -> Holds:
    """Return the processes that do not answer, or say that they do not serve."""
    return {
        one.process: {
            "process": one.process,
            "target": one.target,
            "said": "does not answer" if one.statuses is None else "says that it does not serve",
        }
        for one in answers
        if one.statuses is None or not one.statuses.get(WHOLE, False)
    }


def away(rule: Rule, answers: Iterable[Health]) -> Holds:
    """Return the dependencies of which a process says that they do not answer."""
    return {
        f"{one.process}/{name}": {"process": one.process, "dependency": name, "target": one.target}
        for one in answers
        for name in rule.services
        if one.statuses is not None and one.statuses.get(name, True) is False
    }


def unreachable(rule: Rule, answers: Iterable[Health]) -> frozenset[str]:
    """Return the keys of dependencies that nobody could ask for: their alerts stay as they are."""
    return frozenset(
        f"{one.process}/{name}" for one in answers if one.statuses is None for name in rule.services
    )


def behind(rule: Rule, lag_seconds: float) -> Holds:
    """Return that the log of events has stood still for too long with something to tell."""
    if lag_seconds <= (rule.seconds or 0):
        return {}
    return {"log": {"lag": str(int(lag_seconds))}}


def nearly_full(rule: Rule, disks: Iterable[Disk]) -> Holds:
    """Return the file systems with too little left."""
    return {
        one.path: {
            "path": one.path,
            "free": f"{one.free / 1e9:.1f}",
            "percent": str(one.free * 100 // one.size),
        }
        for one in disks
        if one.size and one.free * 100 < (rule.percent or 0) * one.size
    }


def lost_too_much(rule: Rule, day: str, realised_micros: int) -> Holds:
    """Return the day on which all followers together have lost more than the rule allows."""
    if -realised_micros <= (rule.usdc or 0) * MICROS:
        return {}
    return {day: {"day": day, "money": to_text(-realised_micros), "most": str(rule.usdc)}}


def without_engine(wallets: Iterable[Mapping[str, Any]]) -> Holds:
    """Return the wallets whose bots need an engine and have none, as the query tells them."""
    return {
        row["wallet"]: {
            "wallet": row["wallet"],
            "exchange": row["exchange"],
            "bots": str(row["bots"]),
            "engine": row["engine"] or "none yet",
        }
        for row in wallets
    }


def changes(rule: Rule, holds: Holds, known: Iterable[str], now_ms: int) -> Iterator[Signal]:
    """Return what begins and ends when these alerts of a rule hold and those were known to.

    Args:
        rule: whose alerts they are.
        holds: by key.
        known: keys of the alerts that held at the last look.
        now_ms: of this look.
    """
    for key, facts in holds.items():
        yield Signal(
            rule=rule.name, key=key, at_ms=now_ms, started=True, group=group_of(rule, facts),
            facts=facts,
        )  # fmt: skip
    for key in known:
        if key not in holds:
            yield Signal(rule=rule.name, key=key, at_ms=now_ms, started=False)
