"""Charts as SVG without a script: lines over time, bars about zero, a table of heat. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

Placed = Callable[[float], float]
"""A place on the page of a value."""
_WIDTH, _HEIGHT = 640, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 96, 14, 18, 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a chart."""

    times: Sequence[int]
    values: Sequence[float]
    tone: str = "accent"
    step: bool = False
    """The value holds until the next point."""
    area: bool = False
    """Filled down to zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One point: a fill."""

    at_ms: int
    value: float
    up: bool
    text: str


def chart(
    lines: Sequence[Line], marks: Sequence[Mark] = (), *, label: str, zero: bool = True
) -> str:
    """Return lines and marks over time.

    Args:
        lines: with at least one point in all.
        marks: triangles, up or down.
        label: of the whole for those who cannot see it.
        zero: the axis has the zero.
    """
    times = [at for line in lines for at in line.times]
    values = [v for line in lines for v in line.values] + [mark.value for mark in marks]
    if not times or not values:
        return '<p class="quiet">Nothing to show: the market has no book.</p>'
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    steps = ticks(low, high)
    low, high = min(low, steps[0]), max(high, steps[-1])
    begin, end = min(times), max(times)

    def x(at_ms: float) -> float:
        return _LEFT + (at_ms - begin) / max(end - begin, 1) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">',
        *(_level(step, y(step), steps) for step in steps),
        *_instants(begin, end, x),
    ]
    for line in lines:
        path = _path(line, x, y)
        if line.area and path:
            base = f"L{x(line.times[-1]):.1f},{y(0):.1f} L{x(line.times[0]):.1f},{y(0):.1f}Z"
            parts.append(f'<path class="area {line.tone}" d="{path} {base}"/>')
        parts.append(f'<path class="line {line.tone}" d="{path}"/>')
    parts += [_triangle(mark, x(mark.at_ms), y(mark.value)) for mark in marks]
    return "".join([*parts, "</svg>"])


def bars(named: Sequence[tuple[str, float, str]], *, label: str) -> str:
    """Return bars about zero, one a row: name, amount, its text."""
    most = max((abs(amount) for _, amount, _ in named), default=0) or 1.0
    row, middle, half = 30, 350, 140
    height = row * len(named) + 8
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">']
    parts.append(f'<line class="axis" x1="{middle}" x2="{middle}" y1="0" y2="{height}"/>')
    for n, (name, amount, text) in enumerate(named):
        long = abs(amount) / most * half
        left = middle if amount >= 0 else middle - long
        top = n * row + 6
        tone = "ok" if amount >= 0 else "bad"
        parts.append(f'<text class="name" x="0" y="{top + 15}">{escape(name)}</text>')
        parts.append(
            f'<rect class="{tone}" x="{left:.1f}" y="{top}" width="{max(long, 1):.1f}"'
            f' height="20" rx="3"/>'
        )
        parts.append(f'<text class="tick" x="{_WIDTH}" y="{top + 15}" text-anchor="end">'
                     f"{escape(text)}</text>")  # fmt: skip
    return "".join([*parts, "</svg>"])


def ticks(low: float, high: float) -> list[float]:
    """Return round levels between two values, about four of them and never less than two."""
    span = high - low or abs(high) or 1.0
    raw = span / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(one * power for one in (1, 2, 2.5, 5, 10) if one * power >= raw * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def level_text(value: float, steps: Sequence[float]) -> str:
    """Return a level with as many digits as its neighbours need."""
    step = steps[1] - steps[0]
    digits = max(-math.floor(math.log10(step) + 1e-9), 0)
    digits += not math.isclose(round(step, digits), step)
    return f"{value + 0.0:,.{digits}f}"


def _level(value: float, at: float, steps: Sequence[float]) -> str:
    kind = "axis" if abs(value) < 1e-12 else "grid"
    return (
        f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">'
        f"{level_text(value, steps)}</text>"
    )


def _instants(begin: int, end: int, x: Placed) -> list[str]:
    span = end - begin
    form = "%H:%M:%S" if span < 600_000 else "%H:%M" if span < 172_800_000 else "%d %b"
    found = []
    for n in range(5):
        at = begin + span * n // 4
        anchor = "start" if n == 0 else "end" if n == 4 else "middle"
        text = datetime.fromtimestamp(at / 1000, UTC).strftime(form)
        # A narrow page has room for every other one.
        kind = "tick between" if n % 2 else "tick"
        found.append(
            f'<text class="{kind}" x="{x(at):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">'
            f"{text}</text>"
        )
    return found


def _path(line: Line, x: Placed, y: Placed) -> str:
    parts: list[str] = []
    for at, value in zip(line.times, line.values, strict=True):
        if parts and line.step:
            parts.append(f"H{x(at):.1f} V{y(value):.1f}")
        else:
            parts.append(f"{'L' if parts else 'M'}{x(at):.1f},{y(value):.1f}")
    return " ".join(parts)


def _triangle(mark: Mark, x: float, y: float) -> str:
    tip, foot = (y + 2, y + 9) if mark.up else (y - 2, y - 9)
    tone = "ok" if mark.up else "bad"
    return (
        f'<path class="mark {tone}" d="M{x:.1f},{tip:.1f} L{x - 4:.1f},{foot:.1f}'
        f' L{x + 4:.1f},{foot:.1f}Z"><title>{escape(mark.text)}</title></path>'
    )
