"""Judge a leader by his statistics before his buy is copied. Pure.

They are those of one snapshot, whose version the decision names: the same version, settings and
instant give the same verdict. What is not known is neither good nor bad: the follower has said what
becomes of it then. `leader_snapshot` keeps the snapshot in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.router.core.caps import Skip
from tradingtools.domain.copy_settings import LEADER_AGE_SECONDS, LeaderFilter, UnknownLeader
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.money import to_text
from tradingtools.domain.reasons import Reason


def objection(desired: LeaderFilter, facts: LeaderFacts | None, now_ms: int) -> Skip | None:
    """Return why a leader is not copied; None: he is.

    Args:
        desired: by the subscription.
        facts: of the leader; None: nothing is known of him.
        now_ms: the present instant.
    """
    unknown = _unknown(desired, facts, now_ms)
    if unknown is not None or facts is None:
        if desired.on_missing is UnknownLeader.COPY:
            return None
        return Skip(Reason.LEADER_UNKNOWN, unknown or "")
    for detail in _short(desired, facts):
        return Skip(Reason.LEADER_STATISTICS, f"{detail} (snapshot {facts.version})")
    return None


def _unknown(desired: LeaderFilter, facts: LeaderFacts | None, now_ms: int) -> str | None:
    """Return what of the wanted is not known; None: all is."""
    if facts is None:
        return "no statistics of the leader"
    most = desired.max_age_seconds or LEADER_AGE_SECONDS
    age_ms = now_ms - facts.as_of_ms
    if age_ms > most * 1000:
        return f"statistics {age_ms} ms old > {most * 1000} ms (snapshot {facts.version})"
    bounds = {
        "win rate": (desired.min_win_rate_micros, facts.win_rate_micros),
        "profit factor": (desired.min_profit_factor_micros, facts.profit_factor_micros),
        "drawdown": (desired.max_drawdown_micros, facts.drawdown_micros),
        "copyability": (desired.min_copyability_micros, facts.copyability_micros),
    }
    for name, (bound, known) in bounds.items():
        if bound is not None and known is None:
            return f"{name} not known (snapshot {facts.version})"
    return None


def _short(desired: LeaderFilter, facts: LeaderFacts) -> Iterator[str]:
    """Yield what is not as it is wanted, with the numbers that were compared."""
    least = desired.min_trades_30d
    if least is not None and facts.trades_30d < least:
        yield f"{facts.trades_30d} trades in 30 days < {least}"
    for name, known, bound in (
        ("win rate", facts.win_rate_micros, desired.min_win_rate_micros),
        ("profit factor", facts.profit_factor_micros, desired.min_profit_factor_micros),
        ("copyability", facts.copyability_micros, desired.min_copyability_micros),
    ):
        if bound is not None and known is not None and known < bound:
            yield f"{name} {to_text(known)} < {to_text(bound)}"
    known, most = facts.drawdown_micros, desired.max_drawdown_micros
    if most is not None and known is not None and known > most:
        yield f"drawdown {to_text(known)} > {to_text(most)}"
