"""No request holds a process's event loop for long: nobody stops a halt with one.

Each RPC of each port and each route gets the largest request that its contract allows, and the
largest that it refuses. Processor time is compared with that of a fixed piece of work done beside
it, which takes some 20 ms of a usual core; never with a clock on the wall.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass

from services.control.auth.rate_limiter import Limiter, Rates
from services.control.auth.tokens import parse_tokens
from services.control.edge.admission import Gate
from services.control.edge.admission_rules import HttpRequest, Route
from services.control.edge.contract import public_routes
from services.control.edge.ext_authz import Gateway
from services.control.edge.shapes import Field, Kind, Shape
from services.control.users.people import People
from tests.control.edge import MANAGE, TOKENS
from tests.control.requests import Nobodys
from tests.control.test_contract import _services
from tests.support import largest
from tradingtools.domain.errors import TradingError
from tradingtools.domain.permissions import PERMISSIONS, Permission
from tradingtools.rpc import requests, validation

METHODS = {f"/{s.full_name}/{m.name}": m for s in _services() for m in s.methods}
ROUTES = {route.method: route for route in public_routes()}
OFTEN = Rates(token=1_000_000, address=1_000_000, refused=1_000_000)
BEARER = f"Bearer {MANAGE}"
BODY = 64 * 1024
TARGET = 15 * 1024
"""Bytes; the edge takes 16 KiB of path and headers."""
MESSAGE = 4 * 1024 * 1024
"""Bytes that gRPC takes."""
_TRIES = 3


def _work() -> None:
    """A fixed piece of work of this interpreter: some 20 ms of a usual core."""
    found = {}
    for number in range(100_000):
        found[number & 0xFFF] = str(number)


def _cost(work: Callable[[], object]) -> int:
    """The least processor time of a few tries: what others do on this machine can only add."""
    return min(_once(work) for _ in range(_TRIES))


def _once(work: Callable[[], object]) -> int:
    started = time.thread_time_ns()
    work()
    return time.thread_time_ns() - started


def _within_budget(cases: Iterator[tuple[str, Callable[[], object]]]) -> None:
    budget = _cost(_work)
    for name, case in cases:
        if _once(case) > budget // 2:
            # The fixed work again beside it: the machine may have become slower.
            assert _cost(case) < max(budget, _cost(_work)), name


def _strict(method: str) -> bool:
    return PERMISSIONS.get(method) is not Permission.ENGINE


def _read(method: str, raw: bytes) -> Callable[[], object]:
    kind = GetMessageClass(METHODS[method].input_type)

    def case() -> None:
        with suppress(TradingError):
            requests.read(raw, kind.FromString, strict=_strict(method))

    return case


def _limit(method: str) -> int:
    return requests.LONGEST_OF_PEOPLE if _strict(method) else requests.LONGEST


def _messages(method: MethodDescriptor, limit: int) -> Iterator[tuple[str, bytes]]:
    """Bytes of the largest requests, by what is large about them."""
    most = largest.valid(method.input_type, limit)
    yield "valid", most.SerializeToString()
    for path, message in largest.last_wrong(most):
        yield path, message.SerializeToString()
    for path, message in largest.stuffed(method.input_type, limit):
        yield path, message.SerializeToString()
    for size in (limit, MESSAGE):
        yield f"unknown fields of {size}", b"\xf8\x3f\x01" * (size // 3)
        yield f"groups of {size}", b"\xfb\x3f" * (size // 4) + b"\xfc\x3f" * (size // 4)
        yield f"no message of {size}", b"\xff" * size


@pytest.mark.parametrize("method", METHODS)
def test_the_largest_valid_request_is_valid(method: str) -> None:
    message = largest.valid(METHODS[method].input_type, _limit(method))
    assert validation.first(message) is None
    raw = message.SerializeToString()
    requests.read(raw, type(message).FromString, strict=_strict(method))


@pytest.mark.parametrize("method", METHODS)
def test_no_message_holds_the_loop(method: str) -> None:
    _within_budget(
        (name, _read(method, raw)) for name, raw in _messages(METHODS[method], _limit(method))
    )


def _path(route: Route) -> str:
    segments = (
        largest.longest(_rules_of_id(route)) if segment.startswith("{") else segment
        for segment in route.segments
    )
    return "/" + "/".join(segments)


def _rules_of_id(route: Route) -> str:
    kinds = {"subscriptions": "sub", "triggers": "trg", "resyncs": "rsy"}
    return f"{kinds.get(route.segments[0], 'sub')}_[0-9a-f]{{32}}"


def _full(shape: Shape, wrap: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
    """Bodies in which one field is a long list, or a long text or number."""
    for name, field in shape.fields.items():
        for filler in _FITTING.get(field.kind, ["objects"]):
            yield f"{name}: {filler}", wrap({name: _Raw(_filled(filler))})
        if field.shape is not None:
            yield from _full(field.shape, _wrapped(name, field, wrap))


def _filled(filler: str) -> str:
    one, before, after = _FILLERS[filler]
    return f"{before}{one * ((BODY - 200) // len(one))}{after}"


def _wrapped(name: str, field: Field, wrap: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda inner: wrap({name: [inner] if field.many else inner})


class _Raw(str):
    """JSON as it is."""


_FILLERS = {
    "objects": ("{},", "[", "{}]"),
    "texts": ('"",', "[", '""]'),
    "numbers": ("0,", "[", "0]"),
    "fractions": ("1e9,", "[", "1e9]"),
    "digits": ("9", "", ""),
    "decimals": ("9", "0.", ""),
    "text": ("x", '"', '"'),
    "escapes": ("\\u0041", '"', '"'),
    "deep lists": ("[", "", ""),
    "deep objects": ('{"a":', "", ""),
    "keys": ('"a":0,', "{", '"a":0}'),
}


_FITTING = {
    Kind.STRING: ["texts", "text"],
    Kind.ENUM: ["texts", "text"],
    Kind.INT32: ["digits"],
    Kind.INT64: ["digits"],
    Kind.NUMBER: ["decimals"],
}


def _json(value: Any) -> str:
    if isinstance(value, _Raw):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value)


def _bodies(route: Route) -> Iterator[tuple[str, bytes]]:
    kind = METHODS[route.method].input_type
    most = largest.valid(kind, BODY)
    for name in route.bound:
        most.ClearField(name)
    while len(raw := json.dumps(MessageToDict(most)).encode()) > BODY:
        largest._shorten(most)
    yield "valid", raw
    for path, message in largest.last_wrong(most):
        yield path, json.dumps(MessageToDict(message)).encode()
    for name, body in _full(route.shape, lambda body: body):
        yield name, _json(body).encode()[:BODY]
    some = next((name for name in route.shape.fields if name not in route.bound), "a")
    for filler in _FILLERS:
        yield filler, _json({some: _Raw(_filled(filler))}).encode()[:BODY]
    yield "unknown", _json(_Raw('{"a":[' + "0," * 30_000 + "0]}")).encode()
    yield "more than the edge lets in", b"{" + b'"a":0,' * (MESSAGE // 6)


def _targets(route: Route) -> Iterator[tuple[str, str]]:
    path = _path(route)
    for name, field in route.shape.fields.items():
        if field.kind is Kind.MESSAGE:
            continue
        value = quote(max(field.names, key=len)) if field.names else "0"
        for filler in (f"{name}={value}&", f"{name}=&"):
            yield f"{filler} again and again", f"{path}?{filler * (TARGET // len(filler))}"
        yield f"long {name}", f"{path}?{name}={'%20' * (TARGET // 3)}"
    yield "nothing", f"{path}?{'&' * TARGET}"
    yield "unknown", f"{path}?{'a=&' * (TARGET // 3)}"
    yield "segments", "/a" * (TARGET // 2)


def _requested(gateway: Gateway, route: Route, target: str, body: bytes) -> Callable[[], object]:
    request = HttpRequest(
        verb=route.verb,
        target=target,
        authorization=BEARER,
        content_type="application/json" if body else "",
        body=body,
    )

    def case() -> None:
        with suppress(TradingError):
            gateway.judge("192.0.2.1", request)

    return case


def _gateway() -> Gateway:
    return Gateway(
        Gate(public_routes(), parse_tokens(TOKENS), Limiter(OFTEN)),
        b"k" * 32,
        Nobodys(),
        People(None, None),
    )


@pytest.mark.parametrize("method", ROUTES)
def test_no_query_holds_the_loop(method: str) -> None:
    gateway, route = _gateway(), ROUTES[method]
    _within_budget((name, _requested(gateway, route, at, b"")) for name, at in _targets(route))


@pytest.mark.parametrize("method", [name for name, route in ROUTES.items() if route.takes_body])
def test_no_body_holds_the_loop(method: str) -> None:
    gateway, route = _gateway(), ROUTES[method]
    _within_budget(
        (name, _requested(gateway, route, _path(route), body)) for name, body in _bodies(route)
    )
