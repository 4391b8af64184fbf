"""Where traces and metrics go, in a process that has a setting which names where to.

Before it: `telemetry`, which imports this only then: the SDK takes a fifth of a process's start.
After it: the libraries' own threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import prometheus_client
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tradingtools.adapters import clock
from tradingtools.runtime.settings import SettingError, SharedSettings

_END_SECONDS = 1.0


def configure(process: str, shared: SharedSettings) -> Callable[[], None]:
    """Export this process's spans and metrics as the settings say, from now on.

    The SDK's own end waits for a collector that is away for ten seconds and more, and a process
    that died has to be started afresh at once.

    Returns:
        Sends what has not gone out, in a second or not at all.

    Raises:
        SettingError: the port of the metrics is taken.
    """
    flushes: list[Callable[[], object]] = []
    resource = Resource.create({"service.name": f"tradingtools.{process}"})
    readers: list[MetricReader] = []
    if shared.otlp_endpoint:
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=shared.otlp_endpoint))
        )
        trace.set_tracer_provider(provider)
        flushes.append(provider.force_flush)
        readers.append(
            PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=shared.otlp_endpoint))
        )
    if shared.metrics_port:
        try:
            prometheus_client.start_http_server(shared.metrics_port, addr="127.0.0.1")
        except OSError as error:
            raise SettingError(
                f"TT_METRICS_PORT: cannot listen on 127.0.0.1:{shared.metrics_port}:"
                f" {error.strerror}"
            ) from None
        readers.append(PrometheusMetricReader())
    meters = MeterProvider(resource=resource, metric_readers=readers, shutdown_on_exit=False)
    metrics.set_meter_provider(meters)
    flushes.append(meters.force_flush)
    return lambda: _within_a_second(flushes)


def _within_a_second(flushes: list[Callable[[], object]]) -> None:
    # Side by side, and nobody waits for those that have not ended: they have no limit that holds.
    threads = [threading.Thread(target=flush, daemon=True) for flush in flushes]
    for thread in threads:
        thread.start()
    ends = clock.monotonic() + _END_SECONDS
    for thread in threads:
        thread.join(max(0.0, ends - clock.monotonic()))
