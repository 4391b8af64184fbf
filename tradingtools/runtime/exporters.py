"""Where traces and metrics go, in a process that has a setting which names where to.

Before it: `telemetry`, which imports this only then: the SDK takes a fifth of a process's start.
After it: the libraries' own threads.
"""

from __future__ import annotations

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

from tradingtools.runtime.settings import SharedSettings


def configure(process: str, shared: SharedSettings) -> None:
    """Export this process's spans and metrics as the settings say, from now on."""
    resource = Resource.create({"service.name": f"tradingtools.{process}"})
    readers: list[MetricReader] = []
    if shared.otlp_endpoint:
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=shared.otlp_endpoint))
        )
        trace.set_tracer_provider(provider)
        readers.append(
            PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=shared.otlp_endpoint))
        )
    if shared.metrics_port:
        prometheus_client.start_http_server(shared.metrics_port, addr="127.0.0.1")
        readers.append(PrometheusMetricReader())
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=readers))
