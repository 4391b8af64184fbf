"""Counters and histograms of which every series is there from a process's start.

A series that appears with its first event shows no increase: a rule on it would miss that event.
Before it: the modules that count and time, at import. After it: `exporters`, if a setting names
where to; without one, to observe costs a call that does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import product

from opentelemetry import metrics

SECONDS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds of the buckets of a duration; 0.05 is what a copy's own time is judged by."""
COUNTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
"""Upper bounds of the buckets of a number of things that are done together."""

Label = str | bool | int
Series = Mapping[str, Label]
"""Labels and their values."""
Observe = Callable[[float, str, str], None]
"""Takes a value, its label's value, and the id of a trace that is kept, or nothing."""

_begin: list[Callable[[], None]] = []
_histograms: list[Histogram] = []
_open: list[Callable[[Histogram], Observe]] = []


class Histogram:
    """The distribution of one quantity, for each value of one label if there is one.

    Args:
        name: as Prometheus exposes it, with its unit.
        description: what is observed, from when to when.
        bounds: upper bounds of the buckets, ascending.
        label: its name; empty: there is none.
        values: every value that the label ever has.
    """

    def __init__(
        self,
        name: str,
        description: str,
        *,
        bounds: tuple[float, ...] = SECONDS,
        label: str = "",
        values: Iterable[str] = (),
    ) -> None:
        self.name = name
        self.description = description
        self.bounds = bounds
        self.label = label
        self.values = tuple(values)
        self._observers = [opened(self) for opened in _open]
        _histograms.append(self)

    def observe(self, value: float, at: str = "", traceparent: str = "") -> None:
        """Add a value.

        Args:
            value: in the unit of the name.
            at: the label's value.
            traceparent: of what was observed; if its trace is kept, it is shown as the exemplar.
        """
        for observe in self._observers:
            observe(value, at, traceparent[3:35] if traceparent.endswith("-01") else "")

    def observe_ns(self, nanoseconds: int, at: str = "", traceparent: str = "") -> None:
        """Add a duration to a histogram of seconds; one that clocks make negative counts as 0."""
        if self._observers:
            self.observe(max(nanoseconds, 0) / 1e9, at, traceparent)

    def export_to(self, opened: Callable[[Histogram], Observe]) -> None:
        """Have values go to an exporter, too."""
        self._observers.append(opened(self))


def each(**labels: Iterable[Label]) -> list[Series]:
    """Return every combination of these values."""
    return [dict(zip(labels, values, strict=True)) for values in product(*labels.values())]


def counter(
    scope: str, name: str, description: str, series: Iterable[Series] = ({},)
) -> metrics.Counter:
    """Return a counter whose series are there once the process exports.

    Args:
        scope: of the meter, ``tradingtools.<process>``.
        name: without Prometheus's suffix.
        description: what is counted.
        series: those that are known beforehand.
    """
    made = metrics.get_meter(scope).create_counter(name, description=description)
    _begin.append(partial(_from_nought, made, tuple(series)))
    return made


def level(scope: str, name: str, description: str) -> metrics.UpDownCounter:
    """Return a number that rises and falls, 0 at the start."""
    made = metrics.get_meter(scope).create_up_down_counter(name, description=description)
    _begin.append(partial(_from_nought, made, ({},)))
    return made


def _from_nought(made: metrics.Counter | metrics.UpDownCounter, series: tuple[Series, ...]) -> None:
    for labels in series:
        made.add(0, labels)


def begin(*exporters: Callable[[Histogram], Observe]) -> None:
    """Export from now on: histograms to these, and counters from nought on.

    Args:
        exporters: each opens a histogram, whose series are there from then on.
    """
    _open.extend(exporters)
    for histogram in _histograms:
        for opened in exporters:
            histogram.export_to(opened)
    for start in _begin:
        start()
