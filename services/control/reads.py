"""The port of plain reads: HTTP/1.1 from the edge, judged by the gate, answered by the servicers.

The edge hands on what is spelled so plainly that its transcoder has nothing to hide or to change
(`launcher/envoy_reads.py`). Transcoder and gRPC would cost more than most reads
([decision](../../docs/adr/0030-reads-past-the-transcoder.md)). Gate, rules, servicers and errors
are those of every other call; only the way of the bytes is another one.

Before it: the edge, or whoever reaches the port with a token that may read. After it: a servicer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from google.api import httpbody_pb2  # type: ignore[import-untyped]
from google.protobuf import message_factory
from google.protobuf.message import Message

from services.control.answers import Answer, Paged, to_json
from services.control.contract import PUBLIC_SERVICES, public_routes
from services.control.core.binding import fields
from services.control.core.gate import LONGEST, REMEMBERED, HttpRequest, Route
from services.control.core.identity import HEADER
from services.control.core.tokens import Caller
from services.control.edge import AROUND, etag
from services.control.gate import Gate
from services.control.http_errors import http_error
from services.control.plain_http import Asked, answer, listening
from tradingtools.domain.errors import Unauthenticated
from tradingtools.domain.permissions import PERMISSIONS, Permission
from tradingtools.rpc import errors, requests, tls
from tradingtools.settings import SettingError, SharedSettings

_MAY_READ = frozenset({Permission.PUBLIC, Permission.READ})
_JSON = {"content-type": "application/json"}
Servicer = Callable[[Any, Any], Awaitable[Message | Answer[Any]]]


class PlainContext(NamedTuple):
    """What a servicer may ask about a call that came here: whose it is."""

    caller: Caller

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """As of a sealed call, whose seal has been checked."""
        return ((HEADER, f"{self.caller.id}:{self.caller.scope}:"),)


class Reads:
    """Answers reads.

    Args:
        gate: judges them.
        servicers: of the public services, by the service's full name.
    """

    def __init__(self, gate: Gate, servicers: Mapping[str, object]) -> None:
        self._gate = gate
        reads = {
            route.method: route
            for route in public_routes()
            if route.verb == "GET" and PERMISSIONS[route.method] in _MAY_READ
        }
        self._remembered = lru_cache(REMEMBERED)(self._request)
        self._calls: dict[str, tuple[Route, type[Message], Servicer]] = {
            name: (
                reads[name],
                message_factory.GetMessageClass(method.input_type),
                _asked(servicers[service.full_name], method.name),
            )
            for service in PUBLIC_SERVICES
            for method in service.methods
            if (name := f"/{service.full_name}/{method.name}") in reads
        }

    @property
    def methods(self) -> frozenset[str]:
        """What can be asked here, by the path of its RPC."""
        return frozenset(self._calls)

    async def __call__(self, request: Asked) -> bytes:
        """Answer one request, whatever comes of it."""
        method = request.verb
        try:
            route, caller = self._admitted(request)
            method = route.method
            return _told(await self._answered(route, caller, request.target))
        except Exception as error:  # noqa: BLE001 - the boundary: nothing may leak to a client
            said = http_error(errors.told(error, method))
            return answer(said.status, said.headers, said.body.encode())

    async def _answered(self, route: Route, caller: Caller, target: str) -> Message | Answer[Any]:
        if route.method not in self._calls:
            raise Unauthenticated(AROUND)
        # A request is only read by its servicer: the same one serves again.
        asked = (self._remembered if len(target) <= LONGEST else self._request)(
            route.method, target
        )
        return await self._calls[route.method][2](asked, PlainContext(caller))

    def _request(self, method: str, target: str) -> Message:
        route, kind, _ = self._calls[method]
        known = kind.DESCRIPTOR.fields_by_camelcase_name
        given = fields(route, target)
        asked = kind(**{known[name].name: value for name, value in given.items()})
        requests.check(asked, strict=True)
        return asked

    def _admitted(self, request: Asked) -> tuple[Route, Caller]:
        if request.verb != "GET":
            raise Unauthenticated(AROUND)
        tokens = request.tokens
        # The edge takes this header from clients and writes it anew: one address, its caller's.
        addresses = request.addresses
        return self._gate.admit(
            addresses[0] if len(addresses) == 1 else "",
            HttpRequest(
                verb="GET",
                target=request.target,
                authorization=tokens[0] if len(tokens) == 1 else "",
                content_type="",
                body=request.body,
            ),
        )


def _asked(servicer: object, name: str) -> Servicer:
    if isinstance(servicer, Paged) and name in servicer.plain:
        plain = servicer.plain[name]
        return lambda asked, _context: plain(asked)
    found: Servicer = getattr(servicer, name)
    return found


def _told(said: Message | Answer[Any]) -> bytes:
    if isinstance(said, httpbody_pb2.HttpBody):
        return answer(200, {"content-type": said.content_type}, said.data)
    version = etag(said)
    headers = _JSON if version is None else {**_JSON, "etag": version}
    return answer(200, headers, to_json(said))


@asynccontextmanager
async def serving(listen: str, reads: Reads, shared: SharedSettings) -> AsyncIterator[int]:
    """Answer on ``host:port`` until the block ends; yields the port.

    Raises:
        SettingError: it is no address, or others than this machine reach it and there is no
            certificate.
        RuntimeError: the port is taken.
    """
    tls.refuse_plaintext(listen)
    host, _, port = listen.rpartition(":")
    if not port.isdecimal():
        raise SettingError(f"TT_CONTROL_READS_LISTEN: {listen!r} is not host:port")
    context = tls.http_server(shared)
    async with AsyncExitStack() as stack:
        try:
            at = await stack.enter_async_context(
                listening(host.strip("[]"), int(port), reads, context)
            )
        except OSError as error:
            raise RuntimeError(f"cannot listen on {listen}: {error.strerror}") from error
        yield at
