"""May this request pass, and as which call? Asked before the transcoder and before any handler.

A request passes when its verb and path are exactly one of the public routes, its token reaches
that RPC, and its query and body fit the request's shape. Everything else is an error here, so that
nothing which walks around a rule ends at a handler.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from services.control.auth.tokens import Caller, Token, authorize
from services.control.edge.shapes import Shape, check_body, check_query, parse_object, shown
from tradingtools.domain.errors import (
    InvalidField,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    TradingError,
)

_NO_QUERY = Shape({})
LONGEST_BODY = 64 * 1024
"""Bytes; the edge refuses a longer one as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One REST route: verb, path, the RPC behind it, and the shape of its request."""

    verb: str
    segments: tuple[str, ...]
    """Of the path; a name in braces stands for a field."""
    method: str
    """Full RPC path."""
    shape: Shape
    takes_body: bool
    bound: frozenset[str] = field(init=False)
    """Fields that the path gives."""

    def __post_init__(self) -> None:
        bound = frozenset(s[1:-1] for s in self.segments if s.startswith("{"))
        object.__setattr__(self, "bound", bound)


class Routes:
    """Routes, found by path.

    Args:
        routes: each begins with a segment that is no field.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_start: defaultdict[tuple[str, int], list[Route]] = defaultdict(list)
        for route in routes:
            self._by_start[route.segments[0], len(route.segments)].append(route)

    def with_path(self, path: str) -> list[Route]:
        """Return those of exactly this path; nothing is decoded, trimmed or merged."""
        if not path.startswith("/") or not path.isascii() or "%" in path:
            return []
        segments = path[1:].split("/")
        known = self._by_start.get((segments[0], len(segments)), ())
        return [route for route in known if _matches(route.segments, segments)]

    def find(self, verb: str, path: str) -> Route | None:
        """The one of exactly this verb and path."""
        return next((route for route in self.with_path(path) if route.verb == verb), None)


class HttpRequest(NamedTuple):
    """A request at the edge."""

    verb: str
    target: str
    """Path and query as they came."""
    authorization: str
    content_type: str
    body: bytes


def admit(
    routes: Routes, tokens: tuple[Token, ...], request: HttpRequest, known: Caller | None = None
) -> tuple[Route, Caller]:
    """The route and the caller of a request that may pass.

    Args:
        routes: the public ones.
        tokens: the active ones.
        request: as it came.
        known: the person whose access token came with it; None: there is none.

    Raises:
        NotFound: no such route; also for native gRPC and internal RPCs, whatever the token.
        MethodNotAllowed: a public path, but not with this verb.
        Unauthenticated, NotAllowed: see ``authorize``.
        MalformedBody, UnknownField, InvalidField: the query or the body does not fit.
    """
    path, _, query = request.target.partition("?")
    route = routes.find(request.verb, path)
    if route is None or request.content_type.lower().startswith("application/grpc"):
        raise _no_route(routes, request, path)
    caller = authorize(tokens, route.method, request.authorization, known)
    check_query(_NO_QUERY if route.takes_body else route.shape, query, bound=route.bound)
    if len(request.body) > LONGEST_BODY:
        raise MalformedBody(f"the body is larger than {LONGEST_BODY // 1024} KiB")
    if route.takes_body:
        _require_json(request.content_type)
        check_body(route.shape, request.body, bound=route.bound)
    elif request.body.strip() and parse_object(request.body):
        raise MalformedBody("this route takes no body")
    return route, caller


def _no_route(routes: Routes, request: HttpRequest, path: str) -> TradingError:
    # An id has an underscore and no segment of a route has one: what is no id may be the name of
    # an internal route, of which nothing is said.
    allowed = {
        route.verb
        for route in routes.with_path(path)
        if all(
            "_" in given
            for desired, given in zip(route.segments, path[1:].split("/"), strict=True)
            if desired.startswith("{")
        )
    }
    if allowed and request.verb not in allowed:
        return MethodNotAllowed(
            "this path does not take this method", allow=", ".join(sorted(allowed))
        )
    return NotFound("no such route", kind="route", id=shown(path))


def _matches(template: tuple[str, ...], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        bool(given) if desired.startswith("{") else desired == given
        for desired, given in zip(template, segments, strict=True)
    )


def _require_json(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json":
        expected = "application/json"
        raise InvalidField(
            f"Content-Type: expected {expected}", field="Content-Type", expected=expected
        )
