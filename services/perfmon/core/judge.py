"""Judge results by the rules of a subscription. Pure.

A rule acts when every look for a while shows what it acts on, two looks at least: one bad mark acts
on nothing. A loss stop comes before a step of the scale.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from services.perfmon.core.standing import Mark, WindowState, marks, result_at
from tradingtools.domain.money import MICROS
from tradingtools.domain.performance import (
    UNSCALED_MICROS,
    Limit,
    LossAction,
    OnLoss,
    Performance,
    ProfitScale,
    Window,
)
from tradingtools.domain.performance_states import PerformanceState

MAX_POINTS = 16


class Step(StrEnum):
    """The direction in which the scale moves."""

    STEP_UP = "STEP_UP"
    STEP_DOWN = "STEP_DOWN"


class Floor(msgspec.Struct, frozen=True):
    """The result at or below which a loss stop acts. USDC micros."""

    result_micros: int
    window: Window
    from_micros: int
    """Where the window began."""


class RuleAction(msgspec.Struct, frozen=True, kw_only=True):
    """The actions that the rules ask for. USDC micros."""

    rule: Window | Step
    stop: LossAction | None = None
    """None: a step of the scale."""
    scale_micros: int = 0
    anchor_micros: int
    """From which the next step counts."""
    from_micros: int
    limit_micros: int

    @property
    def key(self) -> str:
        """Return what has to be seen at every look: a loss is one whatever window shows it."""
        return "STOP" if self.stop is not None else str(self.rule)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a subscription."""

    rules: Performance
    standing: WindowState
    session: int
    day: str
    scale_micros: int
    anchor_micros: int
    in_cooldown: bool


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Results between which nothing is to be done; None: no such bound. USDC micros."""

    floor: Floor | None
    """A loss stop acts at it and below."""
    down_micros: int | None
    """The scale steps down at it and below,"""
    up_micros: int | None
    """and up at it and above."""
    peak_micros: int
    """Above it, a peak moves."""

    def hold(self, low_micros: int, high_micros: int) -> bool:
        """Return whether nothing is to be done."""
        return (
            (self.floor is None or high_micros > self.floor.result_micros)
            and (self.down_micros is None or high_micros > self.down_micros)
            and (self.up_micros is None or low_micros < self.up_micros)
            and low_micros <= self.peak_micros
        )


def bounds(case: Case) -> Bounds:
    """Return the bounds of a case."""
    scale = case.rules.profit_scale
    down = up = None
    if scale is not None:
        if _stepped(scale, case.scale_micros, Step.STEP_DOWN) != case.scale_micros:
            down = case.anchor_micros - scale.step_micros
        if _stepped(scale, case.scale_micros, Step.STEP_UP) != case.scale_micros:
            up = None if case.in_cooldown else case.anchor_micros + scale.step_micros
    return Bounds(
        floor=_floor(case),
        down_micros=down,
        up_micros=up,
        peak_micros=_peak(case.standing),
    )


def _peak(standing: WindowState) -> int:
    if standing.equity_micros is None:
        return standing.peak_micros
    return min(standing.peak_micros, result_at(standing, standing.peak_index))


def _floor(case: Case) -> Floor | None:
    stop = case.rules.loss_stop
    if stop is None:
        return None
    started = marks(case.standing, session=case.session, day=case.day)
    found = [
        floor
        for window, limit in stop.limits().items()
        if window in started
        and (floor := _floor_of(case.standing, window, limit, started[window])) is not None
    ]
    return max(found, key=lambda floor: floor.result_micros, default=None)


def _floor_of(standing: WindowState, window: Window, limit: Limit, at: Mark) -> Floor | None:
    if limit.amount_micros is not None:
        return Floor(at.result_micros - limit.amount_micros, window, at.result_micros)
    if standing.equity_micros is None:
        return None
    left = -(-at.index * (MICROS - (limit.fraction_micros or 0)) // MICROS)
    return Floor(result_at(standing, left), window, result_at(standing, at.index))


def _stepped(scale: ProfitScale, present_micros: int, step: Step) -> int:
    """Return the scale after a step, rounded down."""
    if step is Step.STEP_UP:
        return min(present_micros * scale.factor_micros // MICROS, scale.max_micros)
    if scale.on_loss is OnLoss.RESET:
        # A scale that is below 1 is there for a reason: no loss raises it.
        return min(present_micros, UNSCALED_MICROS)
    return max(present_micros * MICROS // scale.factor_micros, scale.min_micros)


def judge(case: Case, within: Bounds, low_micros: int, high_micros: int) -> RuleAction | None:
    """Return what the rules ask for at a result; None: nothing.

    Args:
        case: the subscription.
        within: its bounds.
        low_micros: the lower bound of its result, USDC.
        high_micros: the upper one.
    """
    stop, floor, scale = case.rules.loss_stop, within.floor, case.rules.profit_scale
    if stop is not None and floor is not None and high_micros <= floor.result_micros:
        return RuleAction(
            rule=floor.window, stop=stop.action, anchor_micros=high_micros,
            from_micros=floor.from_micros, limit_micros=floor.from_micros - floor.result_micros,
        )  # fmt: skip
    if scale is None:
        return None
    step, anchor = None, case.anchor_micros
    if within.down_micros is not None and high_micros <= within.down_micros:
        reset = scale.on_loss is OnLoss.RESET
        step, anchor = Step.STEP_DOWN, high_micros if reset else within.down_micros
    elif within.up_micros is not None and low_micros >= within.up_micros:
        step, anchor = Step.STEP_UP, within.up_micros
    if step is None:
        return None
    return RuleAction(
        rule=step, scale_micros=_stepped(scale, case.scale_micros, step), anchor_micros=anchor,
        from_micros=case.anchor_micros, limit_micros=scale.step_micros,
    )  # fmt: skip


class Point(msgspec.Struct, frozen=True):
    """A look: when, milliseconds since 1970, and the result's bounds, USDC micros."""

    at_ms: int
    low_micros: int
    high_micros: int


class Pending(msgspec.Struct, frozen=True):
    """The results of looks so far, one after the other."""

    key: str
    points: tuple[Point, ...]


def seen(pending: Pending | None, move: RuleAction | None, point: Point) -> Pending | None:
    """Return what looks show after one more; None: nothing."""
    if move is None:
        return None
    if pending is None or pending.key != move.key:
        return Pending(move.key, (point,))
    first, *others = pending.points
    return Pending(move.key, (first, *others[-(MAX_POINTS - 2) :], point))


def sure(pending: Pending | None, confirm_ms: int) -> bool:
    """Return whether looks have shown the same for long enough, two of them at least."""
    if pending is None or len(pending.points) < 2:
        return False
    return pending.points[-1].at_ms - pending.points[0].at_ms >= confirm_ms


def state(*, stopped: bool, warned: bool, in_cooldown: bool, scale_micros: int) -> PerformanceState:
    """Return where the rules of a subscription stand."""
    if stopped:
        return PerformanceState.STOPPED
    if warned:
        return PerformanceState.WARNED
    if in_cooldown:
        return PerformanceState.COOLING
    scaled = scale_micros != UNSCALED_MICROS
    return PerformanceState.SCALED if scaled else PerformanceState.WATCHING
