"""Read the RPC's request from a REST request, as the transcoder makes it.

Before it: the gate has admitted path, query and body, so each names a field and fits it. After it:
the seal, which binds the message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from services.control.edge.admission_rules import HttpRequest, Route
from services.control.edge.seal import Call
from services.control.edge.shapes import Kind
from tradingtools.domain.errors import MalformedBody
from tradingtools.rpc.public_services import PUBLIC_SERVICES

_KINDS = {
    f"/{service.full_name}/{method.name}": GetMessageClass(method.input_type)
    for service in PUBLIC_SERVICES
    for method in service.methods
}


def request_of(route: Route, http: HttpRequest) -> Message:
    """The message of an admitted request.

    Raises:
        MalformedBody: the body's JSON is no such message, a date that no calendar has for instance.
    """
    kind = _KINDS[route.method]
    message = kind()
    if route.takes_body:
        try:
            json_format.Parse(http.body, message)
        except (json_format.ParseError, UnicodeDecodeError):
            raise MalformedBody("the body is not a message of this call") from None
    known = kind.DESCRIPTOR.fields_by_camelcase_name
    given = _parameters(route, http.target)
    message.MergeFrom(kind(**{known[name].name: value for name, value in given.items()}))
    return message


def _parameters(route: Route, target: str) -> dict[str, Any]:
    """Return what path and query give, by JSON name."""
    path, _, query = target.partition("?")
    found: dict[str, Any] = {
        desired[1:-1]: given
        for desired, given in zip(route.segments, path[1:].split("/"), strict=True)
        if desired.startswith("{")
    }
    for name, text in parse_qsl(query, keep_blank_values=True) if query else ():
        known = route.shape.fields[name]
        value = _VALUES[known.kind](text)
        if known.many:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


_VALUES: Mapping[Kind, Callable[[str], Any]] = {
    Kind.STRING: str,
    Kind.ENUM: str,
    Kind.BOOL: "true".__eq__,
    Kind.INT32: int,
    Kind.INT64: int,
}
"""Parsers of parameters' texts, by the kinds of field that parameters have."""


def call_of(method: str, request: Message) -> Call:
    """A call as it is sealed: path and query are fields of its request, as its body is."""
    raw = request.SerializeToString(deterministic=True)
    return Call(method, hashlib.sha256(raw).digest())


def decoded(method: str, raw: bytes) -> Message | None:
    """A request as it came over gRPC; None: it is none of the RPC."""
    kind = _KINDS.get(method)
    try:
        return kind.FromString(raw) if kind is not None else None
    except (DecodeError, UnicodeDecodeError):
        return None
