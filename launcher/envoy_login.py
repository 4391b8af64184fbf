"""People's access tokens at the edge: JWTs, verified before control is asked who it is.

The keys are control's, by its REST (`GET /auth/keys`): the filter fetches them by a Unix socket of
this very Envoy, which has no other route. So control needs no HTTP server, and a key that takes
another one's place is known without a start: control publishes it long before it signs.

Part of `envoy_config`.
"""

from __future__ import annotations

from typing import Any

from tradingtools.v1 import user_service_pb2

PATH = "/auth/keys"
_SERVICE = user_service_pb2.DESCRIPTOR.services_by_name["LoginService"]
_CLUSTER = "login-keys"
_ISSUER = "tradingtools"
_RETAINED = "60s"
_OF_PERSON = {"name": "authorization", "string_match": {"contains": "."}}
"""Matches requests with a JWT: a program's token has no dot."""
_FILTERS = "type.googleapis.com/envoy.extensions.filters"


def filter_(audience: str) -> dict[str, Any]:
    """Return the filter: what comes with a JWT passes if it is ours, and goes on as it came."""
    provider = {
        "issuer": _ISSUER,
        "audiences": [audience],
        "forward": True,
        "require_expiration": True,
        "remote_jwks": {
            "http_uri": {
                "uri": f"http://{_CLUSTER}{PATH}",
                "cluster": _CLUSTER,
                "timeout": "2s",
            },
            "cache_duration": _RETAINED,
        },
    }
    config = {
        "@type": f"{_FILTERS}.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"people": provider},
        "rules": [
            {
                "match": {"prefix": "/", "headers": [_OF_PERSON]},
                "requires": {"provider_name": "people"},
            }
        ],
    }
    return {"name": "envoy.filters.http.jwt_authn", "typed_config": config}


def listener(socket: str, descriptors: str) -> dict[str, Any]:
    """Return the listener that has the keys, and nothing else.

    Args:
        socket: path of its Unix socket.
        descriptors: file with those of the services at the edge.
    """
    authorization = {
        "@type": f"{_FILTERS}.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "control"}, "timeout": "2s"},
    }
    transcoder = {
        "@type": f"{_FILTERS}.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor": descriptors,
        "services": [_SERVICE.full_name],
        "convert_grpc_status": True,
    }
    router = {"@type": f"{_FILTERS}.http.router.v3.Router", "suppress_envoy_headers": True}
    routes = [
        {
            "match": {"path": f"/{_SERVICE.full_name}/GetLoginKeys"},
            "route": {"cluster": "control", "timeout": "2s"},
        },
        # Chosen before the path is transcoded: without any, nobody would be asked.
        {"match": {"path": PATH}, "direct_response": {"status": 404}},
    ]
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": _CLUSTER,
        "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": authorization},
            {"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": transcoder},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
        "route_config": {
            "name": _CLUSTER,
            "virtual_hosts": [{"name": _CLUSTER, "domains": ["*"], "routes": routes}],
        },
    }
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    return {
        "name": _CLUSTER,
        "address": {"pipe": {"path": socket, "mode": 0o600}},
        "filter_chains": [chain],
    }


def cluster(socket: str) -> dict[str, Any]:
    """Return that listener as a cluster; no route leads there."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": socket}}}}
    return {
        "name": _CLUSTER,
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
