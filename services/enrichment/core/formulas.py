"""Compute the ratios by which leaders are compared. Pure; floats are ratios and never amounts.

Sources, which the tests check against:
* Wilson, E. B. (1927), Probable inference, JASA 22: the bounds of a rate. 5 of 5 is not 100 %.
* Sharpe, W. F. (1994), The Sharpe ratio, JPM 21: mean by sample deviation of daily results.
* Sortino, F. A. and Price, L. N. (1994), JOI 3: the same by the deviation of losses alone.
* Magdon-Ismail, M. and Atiya, A. (2004), Maximum drawdown, Risk 17.
* Hirschman, A. O. (1964), The paternity of an index, AER 54: concentration.
* Efron, B. and Morris, C. (1977), Stein's paradox, Scientific American 236: shrinking by the size
  of a sample.
Daily results are amounts. Sharpe and Sortino of amounts are those of returns on a constant capital:
a leader's capital is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import fsum, sqrt

DAYS_A_YEAR = 365
"""Prediction markets have no holidays."""
Z_95 = 1.959963984540054
PRIOR_MARKETS = 30
"""So many markets without any edge are added to a record before it is compared."""


def ratio(part: int, whole: int) -> float | None:
    """Return part by whole; None: there is no whole."""
    return part / whole if whole else None


def wilson(won: int, of: int, z: float = Z_95) -> tuple[float, float] | None:
    """Return the bounds of a rate; None: nothing was counted."""
    if of == 0:
        return None
    rate, z2 = won / of, z * z
    middle = (rate + z2 / (2 * of)) / (1 + z2 / of)
    half = z / (1 + z2 / of) * sqrt(rate * (1 - rate) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def sharpe(daily: Sequence[int]) -> float | None:
    """Return mean by sample deviation, a year; None: fewer than two days, or no spread."""
    if len(daily) < 2:
        return None
    # Exact up to the root: sums of squares of micros are beyond what a float holds.
    total, number = sum(daily), len(daily)
    variance = Fraction(
        number * sum(day * day for day in daily) - total * total, number * (number - 1)
    )
    if variance == 0:
        return None
    return total / number / sqrt(variance) * sqrt(DAYS_A_YEAR)


def sortino(daily: Sequence[int]) -> float | None:
    """Return mean by the root mean square of losses, a year; None: fewer than two days, or no
    loss."""
    losses = sum(day * day for day in daily if day < 0)
    if len(daily) < 2 or losses == 0:
        return None
    number = len(daily)
    return sum(daily) / number / sqrt(Fraction(losses, number)) * sqrt(DAYS_A_YEAR)


def drawdown(results: Iterable[int], base_micros: int) -> tuple[int, float | None]:
    """Return the largest fall from a peak: micros, and the largest as a part of the peak.

    Args:
        results: one after the other, micros.
        base_micros: the capital before the first; 0: none is known, and there is no part.
    """
    now = peak = deepest = 0
    part = 0.0
    for result in results:
        now += result
        peak = max(peak, now)
        deepest = max(deepest, peak - now)
        if base_micros > 0:
            part = max(part, (peak - now) / (base_micros + peak))
    return deepest, part if base_micros > 0 else None


def profit_factor(results: Iterable[int]) -> float | None:
    """Return gains by losses; None: there is no loss."""
    found = list(results)
    return ratio(sum(r for r in found if r > 0), -sum(r for r in found if r < 0))


def concentration(parts: Sequence[int]) -> float | None:
    """Return the sum of squared shares: 1 is one part; None: there are none."""
    whole = sum(parts)
    return fsum((part / whole) ** 2 for part in parts) if whole else None


def lower_median(weighted: Iterable[tuple[int, int]]) -> int | None:
    """Return the first value up to which half of the weight lies: one that there was; None: no
    weight.

    Args:
        weighted: values and their weights.
    """
    ordered = sorted(pair for pair in weighted if pair[1] > 0)
    whole, below = sum(weight for _, weight in ordered), 0
    for value, weight in ordered:
        below += weight
        if 2 * below >= whole:
            return value
    return None


def shrunk_edge(by_week: Iterable[tuple[int, int, int]]) -> float | None:
    """Return profit by cost without the best week, shrunk towards nothing by the number of markets.

    A lucky week cannot win: it is the one that is left out. What is left counts by n / (n + 30).

    Args:
        by_week: profit, cost (micros) and number of the markets that resolved in each.
    """
    weeks = sorted(by_week)[:-1]
    cost, number = sum(week[1] for week in weeks), sum(week[2] for week in weeks)
    if not cost:
        return None
    return sum(week[0] for week in weeks) / cost * number / (number + PRIOR_MARKETS)
