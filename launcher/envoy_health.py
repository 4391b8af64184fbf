"""`GET /health` at the edge: answered by Envoy itself, by what its own checks of control found.

Checks go to the port of operators, a process apart from the one that serves clients: whatever those
do to the second one, health is reported at once, and no flood of questions about it reaches
anybody.

Part of `envoy_config`.
"""

from __future__ import annotations

import json
from typing import Any

PATH = "/health"
_CLUSTER = "control-health"
_FILTER = "type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck"
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HEADERS: list[dict[str, Any]] = [
    {"name": ":method", "string_match": {"exact": "GET"}},
    {"name": ":path", "string_match": {"exact": PATH}},
    # What is called in gRPC is no question about health.
    {"name": "content-type", "present_match": False},
]


def filters(port: int) -> str:
    """The first of the HTTP filters, in YAML; nothing without a port."""
    if not port:
        return ""
    config = {
        "@type": _FILTER,
        "pass_through_mode": False,
        "headers": _HEADERS,
        "cluster_min_healthy_percentages": {_CLUSTER: {"value": 100}},
    }
    return f"- {json.dumps({'name': 'envoy.filters.http.health_check', 'typed_config': config})}"


def clusters(host: str, kind: str, port: int, tls: dict[str, Any] | None) -> str:
    """Whom the checks ask, in YAML; no route leads there. Nothing without a port."""
    if not port:
        return ""
    address = {"socket_address": {"address": host, "port_value": port}}
    cluster = {
        "name": _CLUSTER,
        "type": kind,
        "dns_lookup_family": "V4_PREFERRED",
        "transport_socket": tls,
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            _HTTP: {
                "@type": f"type.googleapis.com/{_HTTP}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                # Control may begin after the edge.
                "unhealthy_interval": "0.2s",
                "unhealthy_threshold": 3,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        # Nobody left is no health, not a reason to ask all of them all the same.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    return f"- {json.dumps(cluster)}"


def reply() -> dict[str, Any]:
    """The body of the answer, as the contract has it; the filter itself says a status alone."""
    path = {"header_filter": {"header": {"name": ":path", "string_match": {"exact": PATH}}}}
    healthy = {
        "status_code_filter": {
            "comparison": {
                "op": "EQ",
                "value": {"default_value": 200, "runtime_key": "edge.reply_200"},
            }
        }
    }
    return {
        "filter": {"and_filter": {"filters": [path, healthy]}},
        "body_format_override": {
            "text_format_source": {"inline_string": '{"status":"ok"}'},
            "content_type": "application/json",
        },
    }
