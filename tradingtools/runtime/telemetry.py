"""Logs, traces and metrics of a process. Exporters are off unless a setting names where to.

A trace belongs to a leader trade: ingest starts it, each hop hands the W3C ``traceparent`` on in
its messages, and the rows keep it, so that a span can join it even after a restart.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tradingtools.runtime.settings import SharedSettings

_propagator = TraceContextTextMapPropagator()


def configure(process: str, shared: SharedSettings) -> None:
    """Set up logging, tracing and metrics for this process, once."""
    _configure_logs(process, shared)
    resource = Resource.create({"service.name": f"tradingtools.{process}"})
    provider = TracerProvider(resource=resource)
    readers: list[MetricReader] = []
    if shared.otlp_endpoint:
        # Imported late: the exporters cost start-up time that a process without them keeps.
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=shared.otlp_endpoint))
        )
        readers.append(
            PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=shared.otlp_endpoint))
        )
    if shared.metrics_port:
        import prometheus_client  # noqa: PLC0415
        from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415

        prometheus_client.start_http_server(shared.metrics_port, addr="127.0.0.1")
        readers.append(PrometheusMetricReader())
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=readers))


def _configure_logs(process: str, shared: SharedSettings) -> None:
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if shared.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[shared.log_level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)


@contextmanager
def span(name: str, traceparent: str = "", **attributes: str | int) -> Iterator[str]:
    """Time a step of a trade's way; yields the traceparent to hand on.

    Args:
        name: the step, e.g. ``router.claim``.
        traceparent: of the trade, empty to start a new trace.
        attributes: ids and counts, never secrets.
    """
    context = _propagator.extract({"traceparent": traceparent}) if traceparent else None
    with trace.get_tracer("tradingtools").start_as_current_span(
        name, context=context, attributes=attributes
    ):
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        yield carrier.get("traceparent", traceparent)
