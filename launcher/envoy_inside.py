"""REST of control's internal port: a listener of its own for the product on this machine.

Its one cluster is the internal port, which judges the token as it does for gRPC, and its routes are
those of ControlInternalService alone; the edge knows neither. It listens on loopback only, for the
internal port takes it for the caller: a token's source networks would be judged by its address.

Part of `envoy_config`.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor

from tradingtools.v1 import control_internal_service_pb2

SERVICE: ServiceDescriptor = control_internal_service_pb2.DESCRIPTOR.services_by_name[
    "ControlInternalService"
]
_CLUSTER = "control-inside"
_LOOPBACK = "127.0.0.1"
_FILTERS = "type.googleapis.com/envoy.extensions.filters"
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_BODY_BYTES = 65_536


def listeners(
    port: int, descriptors: str, local_replies: list[dict[str, Any]], access_logs: object
) -> str:
    """The listener in YAML; nothing without a port."""
    if not port:
        return ""
    routes = [
        {
            "match": {"path": f"/{SERVICE.full_name}/{method.name}"},
            # No retry policy: a change is never sent twice.
            "route": {"cluster": _CLUSTER, "timeout": "10s"},
        }
        for method in SERVICE.methods
    ]
    transcoder = {
        "@type": f"{_FILTERS}.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor": descriptors,
        "services": [SERVICE.full_name],
        "auto_mapping": False,
        "convert_grpc_status": True,
        "max_request_body_size": _BODY_BYTES,
        "print_options": {"always_print_primitive_fields": True},
        "request_validation_options": {
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
    }
    connect = {"name": ":method", "string_match": {"exact": "CONNECT"}}
    tunnels = {"permissions": [{"header": connect}], "principals": [{"any": True}]}
    rbac = {
        "@type": f"{_FILTERS}.http.rbac.v3.RBAC",
        "rules": {"action": "DENY", "policies": {"tunnels": tunnels}},
    }
    buffer = {"@type": f"{_FILTERS}.http.buffer.v3.Buffer", "max_request_bytes": _BODY_BYTES}
    router = {"@type": f"{_FILTERS}.http.router.v3.Router", "suppress_envoy_headers": True}
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "inside",
        "codec_type": "AUTO",
        "server_name": "tradingtools",
        "request_timeout": "10s",
        "request_headers_timeout": "5s",
        "stream_idle_timeout": "30s",
        "common_http_protocol_options": {
            "idle_timeout": "30s",
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "access_log": access_logs,
        "local_reply_config": {"mappers": local_replies},
        "http_filters": [
            {"name": "envoy.filters.http.rbac", "typed_config": rbac},
            {"name": "envoy.filters.http.buffer", "typed_config": buffer},
            {"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": transcoder},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
        "route_config": {
            "name": "inside",
            "virtual_hosts": [
                {
                    "name": "inside",
                    "domains": ["*"],
                    "routes": [
                        *routes,
                        {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
                    ],
                }
            ],
        },
    }
    listener = {
        "name": "inside",
        "address": {"socket_address": {"address": _LOOPBACK, "port_value": port}},
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 1_048_576,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }
    return f"- {json.dumps(listener)}"


def clusters(listening: int, host: str, kind: str, port: int, tls: dict[str, Any] | None) -> str:
    """The internal port as a cluster, in YAML; nothing without a listener."""
    if not listening:
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
        # The internal port takes few calls of a connection at once, and holds back the answers of
        # strangers: behind fewer connections they would hold back the product's.
        "circuit_breakers": {"thresholds": [{"max_connections": 128, "max_retries": 0}]},
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    return f"- {json.dumps(cluster)}"
