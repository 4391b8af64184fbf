"""Where traces and metrics go, in a process that has a setting which names where to.

Before it: `telemetry`, which imports this only then: the SDK takes a fifth of a process's start.
After it: the libraries' own threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

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

from tradingtools import clock
from tradingtools.runtime import instruments
from tradingtools.runtime.instruments import Histogram, Observe
from tradingtools.settings import SettingError, SharedSettings

_END_SECONDS = 1.0
_shown: dict[str, prometheus_client.Histogram] = {}
"""By name. Several processes observe parts of one, and a test may load the modules of all."""


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
    exporters: list[Callable[[Histogram], Observe]] = []
    if shared.otlp_endpoint:
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=shared.otlp_endpoint))
        )
        trace.set_tracer_provider(provider)
        flushes.append(provider.force_flush)
        readers.append(_periodic(shared))
        # Apart, or Prometheus would have each of them twice.
        apart = MeterProvider([_periodic(shared)], resource, shutdown_on_exit=False)
        flushes.append(apart.force_flush)
        exporters.append(partial(_otlp, apart))
    if shared.metrics_port:
        try:
            prometheus_client.start_http_server(shared.metrics_port, addr="127.0.0.1")
        except OSError as error:
            raise SettingError(
                f"TT_METRICS_PORT: cannot listen on 127.0.0.1:{shared.metrics_port}:"
                f" {error.strerror}"
            ) from None
        readers.append(PrometheusMetricReader())
        exporters.append(_prometheus)
    meters = MeterProvider(resource=resource, metric_readers=readers, shutdown_on_exit=False)
    metrics.set_meter_provider(meters)
    flushes.append(meters.force_flush)
    instruments.begin(*exporters)
    return lambda: _within_a_second(flushes)


def _periodic(shared: SharedSettings) -> MetricReader:
    return PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=shared.otlp_endpoint))


def _otlp(provider: MeterProvider, histogram: Histogram) -> Observe:
    """Return a histogram as OTLP has it; its first value makes its series."""
    made = provider.get_meter("tradingtools").create_histogram(
        histogram.name,
        description=histogram.description,
        explicit_bucket_boundaries_advisory=histogram.bounds,
    )

    def observe(value: float, at: str, _: str) -> None:
        made.record(value, {histogram.label: at} if histogram.label else None)

    return observe


def _prometheus(histogram: Histogram) -> Observe:
    """Return the same as Prometheus reads it, with exemplars for whoever asks for OpenMetrics."""
    made = _shown.get(histogram.name)
    if made is None:
        made = _shown[histogram.name] = prometheus_client.Histogram(
            histogram.name,
            histogram.description,
            [histogram.label] if histogram.label else [],
            buckets=histogram.bounds,
        )
    series = {at: made.labels(at) for at in histogram.values} if histogram.label else {"": made}

    def observe(value: float, at: str, trace_id: str) -> None:
        series[at].observe(value, {"trace_id": trace_id} if trace_id else None)

    return observe


def _within_a_second(flushes: list[Callable[[], object]]) -> None:
    # Side by side, and nobody waits for those that have not ended: they have no limit that holds.
    threads = [threading.Thread(target=flush, daemon=True) for flush in flushes]
    for thread in threads:
        thread.start()
    ends = clock.monotonic() + _END_SECONDS
    for thread in threads:
        thread.join(max(0.0, ends - clock.monotonic()))
