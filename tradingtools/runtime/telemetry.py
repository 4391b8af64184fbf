"""Logs, traces and metrics of a process. Exporters are off unless a setting names where to.

What nobody reads is not made: on a path that is cold between two trades a span costs a third of a
millisecond and a counter a tenth. Without an exporter a trade keeps its trace id, and that is all.

A trace belongs to a leader trade: ingest starts it, each hop hands the W3C ``traceparent`` on in
its messages, and the rows keep it, so that a span can join it even after a restart.
"""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tradingtools.runtime import alert_lines, logs
from tradingtools.settings import SharedSettings

_propagator = TraceContextTextMapPropagator()
_traced = True
_flush: Callable[[], None] | None = None
_lines: logs.BackgroundWriter | None = None


def configure(process: str, shared: SharedSettings) -> None:
    """Set up logging, tracing and metrics for this process, once.

    Raises:
        SettingError: the port of the metrics is taken.
    """
    global _traced, _flush  # noqa: PLW0603
    counter = _configure_logs(process, shared)
    _traced = bool(shared.otlp_endpoint)
    if shared.otlp_endpoint or shared.metrics_port:
        # Imported late: what exports costs start-up time that a process without it keeps.
        from tradingtools.runtime import exporters  # noqa: PLC0415

        _flush = exporters.configure(process, shared)
    counter.begin()


def flush() -> None:
    """Send what has not gone out yet, in a second or not at all."""
    if _flush is not None:
        _flush()


def flush_logs() -> None:
    """Have what was logged written before the process ends, in a second or not at all."""
    if _lines is not None:
        _lines.drain()


def _configure_logs(process: str, shared: SharedSettings) -> alert_lines.Counter:
    global _lines  # noqa: PLW0603
    structlog.contextvars.bind_contextvars(process=process)
    _lines = lines = logs.BackgroundWriter(sys.stderr)
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if shared.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    counter = alert_lines.Counter(process)
    structlog.configure(
        processors=[
            counter,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[shared.log_level.upper()]
        ),
        logger_factory=lambda *_: lines,
    )
    return counter


@contextmanager
def span(name: str, traceparent: str = "", **attributes: str | int) -> Iterator[str]:
    """Time a step of a trade's way; yields the traceparent to hand on.

    Args:
        name: the step, e.g. ``router.claim``.
        traceparent: of the trade, empty to start a new trace.
        attributes: ids and counts, never secrets.
    """
    if not _traced:
        yield traceparent or _new_trace()
        return
    context = _propagator.extract({"traceparent": traceparent}) if traceparent else None
    with trace.get_tracer("tradingtools").start_as_current_span(
        name, context=context, attributes=attributes
    ):
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        yield carrier.get("traceparent", traceparent)


def is_tracing() -> bool:
    """Return whether spans go anywhere: what only they need need not be found out otherwise."""
    return _traced


def record_span(
    name: str,
    traceparent: str,
    started_ns: int,
    ended_ns: int,
    links: Iterable[str] = (),
    **attributes: str | int,
) -> str:
    """Note a step that is over; return the traceparent to hand on.

    Args:
        name: the step.
        traceparent: of the trade, empty to start a new trace.
        started_ns: when it began, nanoseconds since the epoch.
        ended_ns: when it ended.
        links: traceparents of other trades that it follows from.
        attributes: ids and counts, never secrets.
    """
    if not _traced:
        return traceparent or _new_trace()
    context = _propagator.extract({"traceparent": traceparent}) if traceparent else None
    span = trace.get_tracer("tradingtools").start_span(
        name,
        context=context,
        attributes=attributes,
        start_time=started_ns,
        links=[trace.Link(_span_context(link)) for link in links],
    )
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context=trace.set_span_in_context(span))
    span.end(ended_ns)
    return carrier.get("traceparent", traceparent)


def _span_context(traceparent: str) -> trace.SpanContext:
    found = _propagator.extract({"traceparent": traceparent})
    return trace.get_current_span(found).get_span_context()


def _new_trace() -> str:
    """Return a traceparent that says: not sampled (https://www.w3.org/TR/trace-context/)."""
    trace_id, span_id = random.getrandbits(128), random.getrandbits(64)
    return f"00-{trace_id:032x}-{span_id:016x}-00"
