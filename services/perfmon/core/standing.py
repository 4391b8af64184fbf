"""Where a subscription's windows began, and its peaks. Pure.

Two measures. Amounts compare results, which know no deposit: putting money in or taking it out is
neither. Fractions compare an index, as a fund compares the worth of a unit: it moves with the
result by the wallet's equity, and whatever is put in or taken out only changes that equity from
then on.

Windows begin and peaks rise at the lower bound of a result, and not in a passing doubt: what could
not have been sold was no gain that is lost again. What is in a doubt that lasts stands as it was
before: a book that never comes back blinds no rule.

Shares that came or went without an order of ours are no result: the standing remembers by how much
they have moved it, and results are judged without that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs

from services.perfmon.core.position import OutcomePosition
from tradingtools.domain.performance import Scope, Window

UNIT = 10**12
"""The index at the beginning."""


class Mark(msgspec.Struct, frozen=True):
    """A result, USDC micros, and the index at it."""

    result_micros: int
    index: int


class WindowState(msgspec.Struct, frozen=True, kw_only=True):
    """Where windows began. The index is ``index`` at the result ``from_micros``, from which on the
    wallet's equity is what a change of the result is compared with."""

    scope: Scope
    """Whose results these are."""
    baseline: int
    session: int
    day: str
    total_at: Mark
    session_at: Mark
    day_at: Mark
    peak_micros: int
    peak_index: int
    index: int = UNIT
    from_micros: int = 0
    equity_micros: int | None = None
    """None: not known, and fractions are not judged."""
    funded_micros: int | None = None
    """What was put in less what was taken out, when the equity was taken."""
    flows: dict[str, OutcomePosition] = {}
    """What had come without an order, and not gone again, by asset."""
    brought_micros: int = 0
    """By how much that has moved the result, since the standing began."""
    stood: dict[str, int] = {}
    """What a share was worth before each doubt that lasts, USDC micros."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The result where no doubt is a passing one."""

    result_micros: int
    """The lower bound, without what shares have brought that came without an order."""
    scope: Scope
    baseline: int
    session: int
    day: str
    equity_micros: int | None = None
    """Of the wallet, deposits included; None: not known, or not asked for."""
    funded_micros: int | None = None
    flows: dict[str, OutcomePosition] = {}
    stood: dict[str, int] = {}


def begin(facts: Facts) -> WindowState:
    """Return the standing of a subscription whose baseline begins."""
    at = Mark(facts.result_micros, UNIT)
    return WindowState(
        scope=facts.scope, baseline=facts.baseline, session=facts.session, day=facts.day,
        total_at=at, session_at=at, day_at=at, peak_micros=at.result_micros, peak_index=UNIT,
        from_micros=facts.result_micros, equity_micros=facts.equity_micros,
        funded_micros=facts.funded_micros, flows=facts.flows, stood=facts.stood,
    )  # fmt: skip


def moved(standing: WindowState, came: Mapping[str, tuple[OutcomePosition, int]]) -> WindowState:
    """Return the standing after shares came or went without an order: no mark and no index moves.

    Args:
        standing: before.
        came: by asset, what has come since ever and not gone again, and by how much the change has
            moved the result, USDC micros.
    """
    return structs.replace(
        standing,
        flows={**standing.flows, **{asset: held for asset, (held, _) in came.items()}},
        brought_micros=standing.brought_micros + sum(by for _, by in came.values()),
        # The equity is another one: it is taken anew.
        funded_micros=None,
    )


def index_at(standing: WindowState, result_micros: int) -> int:
    """Return the index at a result, rounded down."""
    equity, change = standing.equity_micros, result_micros - standing.from_micros
    if equity is None:
        return standing.index
    if equity <= 0:
        return standing.index if change >= 0 else 0
    return max(0, standing.index * (equity + change) // equity)


def result_at(standing: WindowState, index: int) -> int:
    """Return the result at which the index has a value, rounded up: rather too early."""
    equity = standing.equity_micros
    if equity is None or equity <= 0 or standing.index == 0:
        return standing.from_micros - (index < standing.index)
    return standing.from_micros - equity * (standing.index - index) // standing.index


def follow(standing: WindowState | None, facts: Facts) -> WindowState:
    """Return the standing that follows: windows that begin, deposits, and new peaks."""
    if standing is None or (standing.scope, standing.baseline) != (facts.scope, facts.baseline):
        return begin(facts)
    present = _with_equity(standing, facts)
    index = index_at(present, facts.result_micros)
    at = Mark(facts.result_micros, index)
    changes: dict[str, Any] = {}
    if present.session != facts.session:
        changes |= {"session": facts.session, "session_at": at}
    if present.day != facts.day:
        changes |= {"day": facts.day, "day_at": at}
    if facts.result_micros > present.peak_micros:
        changes["peak_micros"] = facts.result_micros
    if index > present.peak_index:
        changes["peak_index"] = index
    if facts.stood != present.stood:
        changes["stood"] = facts.stood
    return structs.replace(present, **changes) if changes else present


def _with_equity(standing: WindowState, facts: Facts) -> WindowState:
    """Take the equity anew where money was moved, a window begins, or it was not known before."""
    same = (standing.day, standing.session, standing.funded_micros) == (
        facts.day, facts.session, facts.funded_micros,
    )  # fmt: skip
    if facts.equity_micros is None or (same and standing.equity_micros is not None):
        return standing
    return structs.replace(
        standing,
        index=index_at(standing, facts.result_micros),
        from_micros=facts.result_micros,
        equity_micros=facts.equity_micros,
        funded_micros=facts.funded_micros,
    )


def marks(standing: WindowState, *, session: int, day: str) -> dict[Window, Mark]:
    """Return where each window began; one that has only begun is left out until it is known."""
    found = {
        Window.FROM_PEAK: Mark(standing.peak_micros, standing.peak_index),
        Window.TOTAL: standing.total_at,
    }
    if standing.session == session:
        found[Window.SESSION] = standing.session_at
    if standing.day == day:
        found[Window.DAY] = standing.day_at
    return found


def to_json(standing: WindowState) -> dict[str, Any]:
    """Return it as the database keeps it."""
    found: dict[str, Any] = msgspec.to_builtins(standing)
    return found


def from_json(values: Mapping[str, Any]) -> WindowState:
    """Return it as it was kept. Raises msgspec.ValidationError: it is none of ours."""
    return msgspec.convert(values, WindowState)
