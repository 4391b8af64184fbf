"""What bookfeed counts."""

from __future__ import annotations

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

_meter = metrics.get_meter("tradingtools.bookfeed")

MESSAGES = _meter.create_counter("bookfeed.messages", description="Messages, by what they were")
REJECTS = _meter.create_counter("bookfeed.rejects", description="Frames that could not be read")
RECONNECTS = _meter.create_counter("bookfeed.reconnects", description="Connections, by end")
RESYNCS = _meter.create_counter("bookfeed.resyncs", description="Books fetched anew, by outcome")
FETCHES = _meter.create_counter("bookfeed.fetches", description="Assets fetched, by outcome")
WATCHED = _meter.create_up_down_counter("bookfeed.watched", description="Assets watched")
LOOKS = _meter.create_counter("bookfeed.looks", description="Books compared with REST, by verdict")
UNSEEN = _meter.create_counter(
    "bookfeed.unseen", description="Books that were asked for before they were there, by answer"
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
    """What the gauge tells."""
    return [Observation(_doubted)]


_meter.create_observable_gauge(
    "bookfeed.doubted", [observe_doubted], description="Books in doubt for more than ten seconds"
)
_meter.create_observable_gauge(
    "bookfeed.listed", [observe_listed], description="Assets in the catalogue of open markets"
)
