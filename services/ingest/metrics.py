"""Metrics of ingest."""

from __future__ import annotations

from functools import partial

from tradingtools.runtime.instruments import Histogram, counter, each, level

_SCOPE = "tradingtools.ingest"
_counter = partial(counter, _SCOPE)
_SOURCES = ("FEED", "CATCH_UP")

FRAMES = _counter(
    "ingest.frames",
    "Frames received, by what they were",
    each(kind=("leader", "others", "rejected")),
)
ROWS = _counter("ingest.leader_rows", "Leaders' rows, by source", each(source=_SOURCES))
DUPLICATES = _counter("ingest.duplicates", "Leaders' rows that said nothing new")
REJECTS = _counter(
    "ingest.rejects",
    "Refused frames and rows, by reason",
    each(
        reason=("bad_id", "bad_number", "malformed", "not_json", "oversized", "unknown_topic"),
    ),
)
RECONNECTS = _counter(
    "ingest.reconnects",
    "Feed connections, by end",
    each(end=("closed", "oversized", "renewed", "silent")),
)
SILENCE = _counter("ingest.silences", "Connections dropped for silence")
FOUND = _counter("ingest.catch_up_finds", "Facts that only catch-up knew when it told them")
KNOWN = _counter("ingest.catch_up_known", "Facts of catch-up that said no more than was told")
UNWALKED = level(_SCOPE, "ingest.unwalked", "Leaders with trades that catch-up is yet to read")
LOG_LOST = _counter("ingest.log_lost", "Events that never reached the log in Redis")
EVENTS = _counter("ingest.events", "Events sent on, by source", each(source=_SOURCES))
DELAY = Histogram(
    "ingest_delay_seconds",
    "From the trade's second to its event",
    label="source",
    values=_SOURCES,
)
POLLING = level(
    _SCOPE, "ingest.polling", "1 while no socket of the feed speaks and leaders are polled"
)
LAG = Histogram("ingest_lag_seconds", "From the trade's second to its frame")
