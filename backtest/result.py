"""The result of a run in figures for people and programs. Pure."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from backtest.plan import Trial
from backtest.run import Outcome, Point
from services.bots.strategies.registry import sources
from tradingtools.domain.backtests import Result
from tradingtools.domain.instrument import units_text

_YEAR_MS = 31_536_000_000
_DAY_MS = 86_400_000
SOURCES = ("spread", "markout", "inventory", "trading", "funding", "fees")


def summed(one: Trial, outcome: Outcome, changes: dict[str, str] | None = None) -> Result:
    """Return the figures of a run."""
    digits, first = money_digits(one), one.instruments[0]

    def money(amount: int) -> str:
        return units_text(amount, digits)

    sharpe, error = _sharpe(outcome.points)
    points = outcome.points
    return Result(
        strategy=one.name,
        seed=one.market.seed,
        changes=changes or {},
        from_ms=points[0].at_ms if points else 0,
        to_ms=points[-1].at_ms if points else 0,
        events=outcome.events,
        orders=outcome.orders,
        fills=len(outcome.fills),
        maker_fills=sum(fill.maker for fill in outcome.fills),
        currency="+".join(dict.fromkeys(it.settle for it in one.instruments)),
        result=money(outcome.made + outcome.unrealised),
        sources={name: money(amount) for name, amount in by_source(outcome).items()},
        volume=money(outcome.volume),
        max_drawdown=money(max(drawdowns(points), default=0)),
        sharpe=sharpe,
        sharpe_error=error,
        largest_position=first.size_text(max((abs(it.position) for it in points), default=0)),
        breaches=list(outcome.breaches),
        explained=dict(outcome.explained),
    )


def money_digits(one: Trial) -> int:
    """Return the decimal digits of the outcome's units of money."""
    return max(it.money_digits for it in one.instruments)


def by_source(outcome: Outcome) -> dict[str, int]:
    """Return the result by source; they add up to it, to the last unit.

    A strategy that tells spread and markout leaves the rest to what was held; of another one all
    gains before fees and funding are its trading.
    """
    before = outcome.made + outcome.unrealised + outcome.fees - outcome.funding
    known: dict[str, Any] = dict(sources(outcome.state))
    rest = "inventory" if known else "trading"
    found = known | {rest: before - sum(known.values())}
    return found | {"funding": outcome.funding, "fees": -outcome.fees}


def drawdowns(points: tuple[Point, ...]) -> list[int]:
    """Return at each point how far the result is below its highest one."""
    found, peak = [], 0
    for one in points:
        peak = max(peak, one.result)
        found.append(peak - one.result)
    return found


def _sharpe(points: tuple[Point, ...]) -> tuple[float | None, float | None]:
    moves = [after.result - before.result for before, after in pairwise(points)]
    if len(moves) < 2 or points[-1].at_ms - points[0].at_ms < _DAY_MS * 0.99:
        # A year told by less than a day would be a joke.
        return None, None
    mean = sum(moves) / len(moves)
    variance = sum((one - mean) ** 2 for one in moves) / (len(moves) - 1)
    if not variance:
        return None, None
    step = (points[-1].at_ms - points[0].at_ms) / len(moves)
    once = mean / math.sqrt(variance)
    year = math.sqrt(_YEAR_MS / max(step, 1.0))
    error = math.sqrt((1 + once * once / 2) / len(moves))
    return round(once * year, 2), round(error * year, 2)
