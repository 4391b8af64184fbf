"""Leaders' documents as figures to rank by, and as messages of REST."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.message import Message

from services.control.leaders.rules import WINDOWS, Figures
from services.control.messages import Fields
from tradingtools.domain.money import to_text
from tradingtools.v1 import enrichment_pb2 as documents

_NAMES = {days: name for name, days in WINDOWS.items()}
_RATIOS = (
    "roi", "win_rate", "win_rate_low", "win_rate_high", "profit_factor", "sharpe", "sortino",
)  # fmt: skip


def figures(leader: documents.LeaderStatistics, window: str) -> Figures:
    """Return what a leader is compared by in a window."""
    days = WINDOWS[window]
    of = next((w for w in leader.windows if w.days == days), documents.LeaderWindow(days=days))
    return Figures(
        wallet=leader.wallet,
        evidence=not leader.gaps,
        by_sort={
            "copyability": _known(leader, "score"),
            "edge": _known(leader, "edge"),
            "profit": of.realised_micros,
            "roi": _known(of, "roi"),
            "winRate": _known(of, "win_rate_low"),
            "sharpe": _known(of, "sharpe"),
            "volume": of.bought_micros,
            "trades": of.trades,
        },
        trades=of.trades,
        resolved=of.resolved,
        categories=frozenset(c.category for c in leader.categories if c.trades),
    )


def leader(of: documents.LeaderStatistics, *, days: bool) -> Fields:
    """Return a leader as fields of the contract.

    Args:
        of: as enrichment has computed it.
        days: whether his days are shown.
    """
    return {
        "wallet": of.wallet,
        "as_of": instant(of.as_of_ms),
        "snapshot": of.version,
        "gaps": list(of.gaps),
        "edge": _known(of, "edge"),
        "score": _known(of, "score"),
        "performance": [_performance(window) for window in of.windows],
        "first_trade_at": _instant(of, "first_trade_ms"),
        "last_trade_at": _instant(of, "last_trade_ms"),
        "median_size": _money(of, "median_size_micros"),
        "holding_ms": of.holding_ms if of.HasField("holding_ms") else None,
        "maker": _money(of, "maker_micros"),
        "taker": _money(of, "taker_micros"),
        "concentration": _known(of, "concentration"),
        "latency_class": of.latency_class,
        "open_cost": to_text(of.open_cost_micros),
        "open_value": _money(of, "open_value_micros"),
        "unmarked": of.unmarked,
        "unknown_cost": to_text(of.unknown_cost_micros),
        "categories": [_category(one) for one in of.categories],
        "copyability": [_copyability(one) for one in of.copyability],
        "days": [_day(one) for one in of.days] if days else [],
    }


def instant(at_ms: int) -> datetime:
    """Return milliseconds since the epoch as an instant."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _performance(of: documents.LeaderWindow) -> Fields:
    ratios: Mapping[str, float | None] = {name: _known(of, name) for name in _RATIOS}
    return {
        **ratios,
        "window": _NAMES.get(of.days, f"{of.days}d"),
        "realised": to_text(of.realised_micros),
        "marked": _money(of, "marked_micros"),
        "bought": to_text(of.bought_micros),
        "closed_cost": to_text(of.closed_cost_micros),
        "trades": of.trades,
        "markets": of.markets,
        "resolved": of.resolved,
        "won": of.won,
        "largest_drawdown": to_text(of.largest_drawdown_micros),
        "largest_drawdown_fraction": _known(of, "largest_drawdown"),
    }


def _category(of: documents.LeaderCategory) -> Fields:
    return {
        "category": of.category,
        "trades": of.trades,
        "markets": of.markets,
        "bought": to_text(of.bought_micros),
        "realised": to_text(of.realised_micros),
        "resolved": of.resolved,
        "won": of.won,
    }


def _copyability(of: documents.Copyability) -> Fields:
    return {
        "delay_seconds": of.delay_seconds,
        "amount": to_text(of.amount_micros),
        "observed": of.observed,
        "unobserved": of.unobserved,
        "spent": to_text(of.spent_micros),
        "leader_cost": to_text(of.leader_cost_micros),
        "unfilled": to_text(of.unfilled_micros),
        "slippage": _known(of, "slippage"),
        "filled": _known(of, "filled"),
    }


def _day(of: documents.LeaderDay) -> Fields:
    return {
        "day": instant(of.day_ms),
        "realised": to_text(of.realised_micros),
        "cumulative": to_text(of.cumulative_micros),
        "trades": of.trades,
        "equity": _money(of, "equity_micros"),
    }


def _known(of: Message, field: str) -> float | None:
    """A ratio; None: the document leaves it out."""
    return float(getattr(of, field)) if of.HasField(field) else None


def _money(of: Message, field: str) -> str | None:
    return to_text(getattr(of, field)) if of.HasField(field) else None


def _instant(of: Message, field: str) -> datetime | None:
    return instant(getattr(of, field)) if of.HasField(field) else None
