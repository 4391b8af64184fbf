"""Reads that need no question of their own: the edge hands them on, and control judges them.

To ask the authorization about every request costs as much as to answer most reads. It has to be
asked where the transcoder would hide something from the handlers (a body, an unknown parameter, a
value of another type) or change the path. A read that is spelled plainly has nothing of that. It
goes past the transcoder to control's port of plain reads or, where the edge knows none, through it:
the transcoder says what was asked in headers of its own, and the handlers' port judges those as the
authorization would have done. What is not recognised here is asked about as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor

from tradingtools.domain.permissions import PERMISSIONS, Permission

_ID = "([a-z]{3}_[0-9a-f]{32}|[0-9a-f]{64})"
_WHOLE = "(0|[1-9][0-9]{0,8})"
_VALUES = {
    FieldDescriptor.TYPE_STRING: "[A-Za-z0-9_-]*",
    FieldDescriptor.TYPE_BOOL: "(true|false)",
    FieldDescriptor.TYPE_INT32: _WHOLE,
    FieldDescriptor.TYPE_INT64: _WHOLE,
}
# By the transcoder's way the script says x-tt-body of whatever brings a body, announced or not.
_WITHOUT = ("content-type", "content-length", "x-tt-body")

_NOT_FOUND = {"status": 404}
_FILTERS = "envoy.filters.http"
_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters.http"
_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
_OFF = {"@type": _CONFIG, "disabled": True}
"""Chosen once, by the route that a request has as it comes."""
_HANDED_ON = (
    ":authority", "x-request-id", "authorization", "te", "idempotency-key", "if-match",
    "traceparent", "tracestate",
)  # fmt: skip
_SHORT = ".{0,900}"
"""A target as plain reads have them."""


def route(services: Iterable[ServiceDescriptor], *, cluster: str, timeout: str) -> dict[str, Any]:
    """The route of all plain reads.

    Args:
        services: with the public RPCs.
        cluster: control's port of plain reads. Empty: a read's way on is chosen again after the
            transcoder.
        timeout: of a read.
    """
    plain = "|".join(
        _target(method) for one in services for method in one.methods if _reads(method)
    )
    return {
        "match": {
            "prefix": "/",
            "headers": [
                {"name": ":method", "string_match": {"exact": "GET"}},
                {"name": ":path", "string_match": {"safe_regex": {"regex": plain}}},
                {"name": ":path", "string_match": {"safe_regex": {"regex": _SHORT}}},
                {"name": "x-tt-protocol", "string_match": {"exact": "HTTP/1.1"}},
                *({"name": name, "present_match": False} for name in _WITHOUT),
                *(_short_and_plain(name) for name in _HANDED_ON),
            ],
        },
        **(_past_the_transcoder(cluster, timeout) if cluster else _BY_THE_TRANSCODER),
    }


_BY_THE_TRANSCODER = {
    "direct_response": _NOT_FOUND,
    # Not _OFF: that counts before the script has seen a body, and nobody would ask about it.
    "typed_per_filter_config": {
        f"{_FILTERS}.ext_authz": {
            "@type": f"{_EXTENSIONS}.ext_authz.v3.ExtAuthzPerRoute",
            "disabled": True,
        }
    },
}


def _past_the_transcoder(cluster: str, timeout: str) -> dict[str, Any]:
    return {
        # A read changes nothing, but who asks decides whether it is asked again.
        "route": {"cluster": cluster, "timeout": timeout},
        # Each filter costs, the script most: a quarter of what the edge does for a read.
        "typed_per_filter_config": {
            f"{_FILTERS}.{name}": _OFF for name in ("lua", "ext_authz", "grpc_json_transcoder")
        },
    }


def _short_and_plain(name: str) -> dict[str, Any]:
    """Not there, or of few bytes that gRPC takes as they are: others it refuses, or writes down."""
    return {
        "name": name,
        "string_match": {"safe_regex": {"regex": "[ -~]{0,200}"}},
        "treat_missing_header_as_empty": True,
    }


def _reads(method: MethodDescriptor) -> bool:
    name = f"/{method.containing_service.full_name}/{method.name}"
    get = method.GetOptions().Extensions[annotations_pb2.http].get
    return bool(get) and PERMISSIONS[name] in {Permission.PUBLIC, Permission.READ}


def _target(method: MethodDescriptor) -> str:
    """Path and query of one read, spelled plainly; a parameter given twice is judged later."""
    template: str = method.GetOptions().Extensions[annotations_pb2.http].get
    path = template.replace(".", "\\.").replace("{id}", _ID)
    fields = [
        f"{field.json_name}={_VALUES[field.type]}"
        for field in method.input_type.fields
        if f"{{{field.name}}}" not in template and field.type in _VALUES and not field.is_repeated
    ]
    if not fields:
        return path
    one = f"({'|'.join(fields)})"
    return f"{path}(\\?{one}(&{one})*)?"
