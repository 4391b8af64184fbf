"""Compute a leader's statistics from frozen values. Pure.

Before it: what he did, his markets' resolutions, marks and recorded books. After it: a document
that REST ranks by and the router filters by. `formulas` has the ratios and their sources, `account`
books profit. Nothing is a guess: what is not known is None, and reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from services.enrichment.core import formulas
from services.enrichment.core.copyability import AMOUNTS, cell, copyability, latency
from services.enrichment.core.evidence import gaps
from services.enrichment.core.history import History, Result, history
from services.enrichment.core.trades import Trade, trades_of
from services.enrichment.core.values import (
    DAY_MS,
    NO_MARKS,
    Activity,
    Books,
    Category,
    Copyability,
    Day,
    LeaderStatistics,
    Market,
    Marks,
    Window,
)

WINDOWS = (1, 7, 30, 90, 0)
"""Days; 0: all time."""
RETENTION_DAYS = 366
_WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS
"""1970-01-05, the first Monday of the epoch."""


def leader_statistics(
    wallet: str,
    activity: Iterable[Activity],
    markets: Mapping[str, Market],
    *,
    as_of_ms: int,
    marks: Marks = NO_MARKS,
    books: Books | None = None,
) -> LeaderStatistics:
    """Return a leader's statistics at an instant; later rows and resolutions are not looked at.

    Args:
        wallet: the leader's.
        activity: his rows, in any order; those of one instant in theirs.
        markets: by condition; one that is missing has category "other" and has not resolved.
        as_of_ms: the instant.
        marks: prices of what he held.
        books: what was recorded after his buys; None: nothing.
    """
    rows = sorted((row for row in activity if row.at_ms <= as_of_ms), key=lambda row: row.at_ms)
    trades = trades_of(rows)
    first_ms = rows[0].at_ms if rows else as_of_ms
    last_day = as_of_ms - as_of_ms % DAY_MS
    first_day = max(first_ms - first_ms % DAY_MS, last_day - (RETENTION_DAYS - 1) * DAY_MS)
    days = range(first_day, last_day + DAY_MS, DAY_MS) if rows else range(0)
    instants = [
        as_of_ms,
        *(min(day + DAY_MS - 1, as_of_ms) for day in days),
        *(as_of_ms - window * DAY_MS for window in WINDOWS if window),
    ]
    past = history(rows, markets, marks, instants, as_of_ms)
    cells = copyability(trades, books or {})
    buys = [trade for trade in trades if trade.side == "BUY"]
    by_market = Counter[str]()
    for trade in buys:
        by_market[trade.condition_id] += trade.notional_micros
    edge = formulas.shrunk_edge(_weeks(past.results))
    known = any(trade.maker_micros or trade.taker_micros for trade in trades)
    now = past.snapshots[as_of_ms]
    return LeaderStatistics(
        wallet=wallet,
        as_of_ms=as_of_ms,
        windows=tuple(_window(days, as_of_ms, first_ms, trades, past) for days in WINDOWS),
        first_trade_ms=trades[0].at_ms if trades else None,
        last_trade_ms=max((trade.at_ms for trade in trades), default=None),
        median_size_micros=formulas.lower_median((trade.notional_micros, 1) for trade in buys),
        holding_ms=formulas.lower_median(
            piece for closing in past.closings for piece in closing.held_ms
        ),
        maker_micros=sum(trade.maker_micros for trade in trades) if known else None,
        taker_micros=sum(trade.taker_micros for trade in trades) if known else None,
        categories=_categories(trades, past, markets),
        concentration=formulas.concentration(list(by_market.values())),
        latency_class=latency(cells),
        copyability=cells,
        gaps=gaps(trades, past, as_of_ms),
        edge=edge,
        score=_score(edge, cells),
        days=_days(days, trades, past, as_of_ms),
        open_cost_micros=now.open_cost_micros,
        open_value_micros=now.value_micros,
        unmarked=now.unmarked,
        unknown_cost_micros=past.unknown_cost_micros,
    )


def _window(
    days: int, as_of_ms: int, first_ms: int, trades: Sequence[Trade], past: History
) -> Window:
    since = as_of_ms - days * DAY_MS if days else first_ms - 1
    closings = [closing for closing in past.closings if closing.at_ms > since]
    within = [trade for trade in trades if trade.at_ms > since]
    results = [result for result in past.results if result.at_ms > since]
    realised = sum(closing.profit_micros for closing in closings)
    closed_cost = sum(closing.cost_micros for closing in closings)
    won = sum(result.profit_micros > 0 for result in results)
    bounds = formulas.wilson(won, len(results))
    # Days before the record begins are no results of nothing.
    daily = _daily(past, max(since, first_ms - 1), as_of_ms)
    # What was closed at one instant has no order.
    at_once = Counter[int]()
    for closing in closings:
        at_once[closing.at_ms] += closing.profit_micros
    fall, part = formulas.drawdown(at_once.values(), _max_concurrent(past, since))
    return Window(
        days=days,
        realised_micros=realised,
        marked_micros=_marked(past, realised, since if days else None, as_of_ms),
        bought_micros=sum(t.notional_micros for t in within if t.side == "BUY"),
        closed_cost_micros=closed_cost,
        roi=formulas.ratio(realised, closed_cost),
        trades=len(within),
        markets=len({trade.condition_id for trade in within}),
        resolved=len(results),
        won=won,
        win_rate=formulas.ratio(won, len(results)),
        win_rate_low=bounds and bounds[0],
        win_rate_high=bounds and bounds[1],
        profit_factor=formulas.profit_factor(result.profit_micros for result in results),
        sharpe=formulas.sharpe(daily),
        sortino=formulas.sortino(daily),
        largest_drawdown_micros=fall,
        largest_drawdown=part,
    )


def _daily(past: History, since_ms: int, as_of_ms: int) -> list[int]:
    """Realised results of 24 hours each, counted back from ``as_of_ms``, the oldest first."""
    number = -(-(as_of_ms - since_ms) // DAY_MS)
    results = [0] * number
    for closing in past.closings:
        if closing.at_ms > since_ms:
            results[number - 1 - (as_of_ms - closing.at_ms) // DAY_MS] += closing.profit_micros
    return results


def _max_concurrent(past: History, since_ms: int) -> int:
    """The greatest cost of what was held at once, after an instant or at it."""
    at_start = 0
    most = 0
    for at_ms, cost in past.open_costs:
        if at_ms <= since_ms:
            at_start = cost
        else:
            most = max(most, cost)
    return max(at_start, most)


def _marked(past: History, realised: int, since_ms: int | None, as_of_ms: int) -> int | None:
    """Realised and the change of what is held; None: something held then or now has no mark."""
    change = 0
    for at_ms, sign in ((as_of_ms, 1), (since_ms, -1)):
        if at_ms is not None:
            poll = past.snapshots[at_ms]
            if poll.value_micros is None:
                return None
            change += sign * (poll.value_micros - poll.open_cost_micros)
    return realised + change


def _weeks(results: Iterable[Result]) -> list[tuple[int, int, int]]:
    """Profit, cost and number of the markets of each week, from Monday on, UTC."""
    weeks: dict[int, tuple[int, int, int]] = {}
    for result in results:
        week = (result.at_ms - _MONDAY_MS) // _WEEK_MS
        profit, cost, number = weeks.get(week, (0, 0, 0))
        weeks[week] = (profit + result.profit_micros, cost + result.cost_micros, number + 1)
    return list(weeks.values())


def _score(edge: float | None, cells: Sequence[Copyability]) -> float | None:
    slippage = cell(cells, 3, AMOUNTS[1]).slippage
    return None if edge is None or slippage is None else edge - slippage


def _categories(
    trades: Sequence[Trade], past: History, markets: Mapping[str, Market]
) -> tuple[Category, ...]:
    def of(condition_id: str) -> str:
        market = markets.get(condition_id)
        return market.category if market else "other"

    counted: dict[str, Counter[str]] = {}
    conditions: dict[str, set[str]] = {}
    for trade in trades:
        name = of(trade.condition_id)
        sums = counted.setdefault(name, Counter())
        sums["trades"] += 1
        sums["bought"] += trade.notional_micros if trade.side == "BUY" else 0
        conditions.setdefault(name, set()).add(trade.condition_id)
    for closing in past.closings:
        counted.setdefault(of(closing.condition_id), Counter())["realised"] += closing.profit_micros
    for result in past.results:
        sums = counted.setdefault(of(result.conditions[0]), Counter())
        sums["resolved"] += 1
        sums["won"] += result.profit_micros > 0
    found = [
        Category(
            category=name,
            trades=sums["trades"],
            markets=len(conditions.get(name, ())),
            bought_micros=sums["bought"],
            realised_micros=sums["realised"],
            resolved=sums["resolved"],
            won=sums["won"],
        )
        for name, sums in counted.items()
    ]
    return tuple(sorted(found, key=lambda c: (-c.bought_micros, c.category)))


def _days(
    days: Sequence[int], trades: Sequence[Trade], past: History, as_of_ms: int
) -> tuple[Day, ...]:
    realised, made = Counter[int](), Counter[int]()
    for closing in past.closings:
        realised[closing.at_ms - closing.at_ms % DAY_MS] += closing.profit_micros
    for trade in trades:
        made[trade.at_ms - trade.at_ms % DAY_MS] += 1
    total = sum(profit for day, profit in realised.items() if days and day < days[0])
    found = []
    for day in days:
        total += realised[day]
        poll = past.snapshots[min(day + DAY_MS - 1, as_of_ms)]
        found.append(
            Day(
                day_ms=day,
                realised_micros=realised[day],
                cumulative_micros=total,
                trades=made[day],
                equity_micros=(
                    None
                    if poll.value_micros is None
                    else total + poll.value_micros - poll.open_cost_micros
                ),
            )
        )
    return tuple(found)
