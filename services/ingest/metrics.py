"""What ingest counts."""

from __future__ import annotations

from opentelemetry import metrics

_meter = metrics.get_meter("tradingtools.ingest")

FRAMES = _meter.create_counter("ingest.frames", description="Frames received, by what they were")
ROWS = _meter.create_counter("ingest.leader_rows", description="Leaders' rows, by source")
DUPLICATES = _meter.create_counter(
    "ingest.duplicates", description="Leaders' rows that said nothing new"
)
REJECTS = _meter.create_counter("ingest.rejects", description="Refused frames and rows, by reason")
RECONNECTS = _meter.create_counter("ingest.reconnects", description="Feed connections, by end")
SILENCE = _meter.create_counter("ingest.silences", description="Connections dropped for silence")
FOUND = _meter.create_counter(
    "ingest.catch_up_finds", description="Facts that only catch-up knew when it told them"
)
KNOWN = _meter.create_counter(
    "ingest.catch_up_known", description="Facts of catch-up that said no more than was told"
)
UNWALKED = _meter.create_up_down_counter(
    "ingest.unwalked", description="Leaders with trades that catch-up is yet to read"
)
LOG_LOST = _meter.create_counter(
    "ingest.log_lost", description="Events that never reached the log in Redis"
)
EVENTS = _meter.create_counter("ingest.events", description="Events sent on, by source")
DELAY = _meter.create_histogram(
    "ingest.delay", unit="ms", description="From the trade's second to its event, by source"
)
POLLING = _meter.create_up_down_counter(
    "ingest.polling", description="1 while no socket of the feed speaks and leaders are polled"
)
LAG = _meter.create_histogram(
    "ingest.lag", unit="ms", description="From the trade's second to its frame"
)
