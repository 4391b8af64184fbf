"""Metrics of bookfeed."""

from __future__ import annotations

from functools import partial
from typing import get_args

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from services.bookfeed.core.snapshot_audit import AuditVerdict
from tradingtools.runtime.instruments import counter, each, level
from tradingtools.venues.polymarket.market_channel import Message

_SCOPE = "tradingtools.bookfeed"
_counter = partial(counter, _SCOPE)
_meter = metrics.get_meter(_SCOPE)

MESSAGES = _counter(
    "bookfeed.messages",
    "Messages, by what they were",
    each(kind=("unknown", *(kind.__name__ for kind in get_args(Message)))),
)
REJECTS = _counter("bookfeed.rejects", "Frames that could not be read")
RECONNECTS = _counter(
    "bookfeed.reconnects",
    "Connections, by end",
    each(end=("ConnectionClosedOK", "ConnectionClosedError")),
)
RESYNCS = _counter(
    "bookfeed.resyncs", "Books fetched anew, by outcome", each(outcome=("still in doubt", "good"))
)
FETCHES = _counter("bookfeed.fetches", "Assets fetched, by outcome", each(outcome=("found",)))
WATCHED = level(_SCOPE, "bookfeed.watched", "Assets watched")
LOOKS = _counter(
    "bookfeed.looks",
    "Books compared with REST, by verdict",
    each(verdict=[verdict.value for verdict in AuditVerdict]),
)
UNSEEN = _counter(
    "bookfeed.unseen",
    "Books that were asked for before they were there, by answer",
    each(listed=(True, False)),
)

_doubted = 0
_listed = 0


def listed(assets: int) -> None:
    """Take the number of assets in the catalogue."""
    global _listed  # noqa: PLW0603
    _listed = assets


def observe_listed(_: CallbackOptions) -> list[Observation]:
    """Return what the gauge tells."""
    return [Observation(_listed)]


def doubted(books: int) -> None:
    """Take the number of books that are in doubt for long."""
    global _doubted  # noqa: PLW0603
    _doubted = books


def observe_doubted(_: CallbackOptions) -> list[Observation]:
    """Return what the gauge tells."""
    return [Observation(_doubted)]


_meter.create_observable_gauge(
    "bookfeed.doubted", [observe_doubted], description="Books in doubt for more than ten seconds"
)
_meter.create_observable_gauge(
    "bookfeed.listed", [observe_listed], description="Assets in the catalogue of open markets"
)
