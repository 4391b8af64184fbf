"""What bookfeed counts."""

from __future__ import annotations

from opentelemetry import metrics

_meter = metrics.get_meter("tradingtools.bookfeed")

MESSAGES = _meter.create_counter("bookfeed.messages", description="Messages, by what they were")
REJECTS = _meter.create_counter("bookfeed.rejects", description="Frames that could not be read")
RECONNECTS = _meter.create_counter("bookfeed.reconnects", description="Connections, by end")
RESYNCS = _meter.create_counter("bookfeed.resyncs", description="Books fetched anew, by outcome")
FETCHES = _meter.create_counter("bookfeed.fetches", description="Assets fetched, by outcome")
WATCHED = _meter.create_up_down_counter("bookfeed.watched", description="Assets watched")
LOOKS = _meter.create_counter("bookfeed.looks", description="Books compared with REST, by verdict")
