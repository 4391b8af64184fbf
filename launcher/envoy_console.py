"""The console's pages at the edge, where an operator has switched them on.

The console judges its requests itself, by cookie and secret: what the edge does for REST (which
headers go on, whose token it is, JSON out of gRPC) is off for its paths. What bounds connections,
headers and bodies stays.

Part of `envoy_config`.
"""

from __future__ import annotations

from typing import Any

from launcher.envoy_tls import is_address

_FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
_NAME = "envoy.filters.http"
_CLUSTER = "console"
_ALONE: dict[str, Any] = {
    f"{_NAME}.lua": {"@type": f"{_FILTERS}.lua.v3.LuaPerRoute", "disabled": True},
    f"{_NAME}.ext_authz": {"@type": f"{_FILTERS}.ext_authz.v3.ExtAuthzPerRoute", "disabled": True},
    # Without services it transcodes nothing.
    f"{_NAME}.grpc_json_transcoder": {
        "@type": f"{_FILTERS}.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor_bin": "",
    },
}
_STREAM = "/console/api/events/stream"
_NEVER = {
    "timeout": "0s",
    "idle_timeout": "0s",
    "max_stream_duration": {"max_stream_duration": "0s"},
}


def routes(console: tuple[str, int] | None) -> list[dict[str, Any]]:
    """Return the routes to the console; none where it is not at the edge."""
    if console is None:
        return []
    return [
        _route({"path": "/console"}, {"timeout": "20s"}),
        _route({"path": _STREAM}, _NEVER),
        _route({"prefix": "/console/"}, {"timeout": "20s"}),
    ]


def _route(match: dict[str, str], more: dict[str, Any]) -> dict[str, Any]:
    return {
        "match": match,
        "route": {"cluster": _CLUSTER, **more},
        "typed_per_filter_config": _ALONE,
    }


def clusters(console: tuple[str, int] | None) -> list[dict[str, Any]]:
    """Return the console as a cluster; none where it is not at the edge."""
    if console is None:
        return []
    host, port = console
    address = {"socket_address": {"address": host, "port_value": port}}
    return [
        {
            "name": _CLUSTER,
            "type": "STATIC" if is_address(host) else "STRICT_DNS",
            "dns_lookup_family": "V4_PREFERRED",
            "connect_timeout": "1s",
            "per_connection_buffer_limit_bytes": 1_048_576,
            "circuit_breakers": {
                "thresholds": [
                    {"max_connections": 256, "max_pending_requests": 256, "max_retries": 0}
                ]
            },
            "load_assignment": {
                "cluster_name": _CLUSTER,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }
    ]
