"""The authorization service that the edge asks before anything else sees a request.

An allowed request goes on with a seal in its headers and without its token; a refused one is
answered here, in the same form as every other error.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import grpc
import structlog
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import status_pb2

from ext_authz import external_auth_pb2, external_auth_pb2_grpc
from services.control.auth import exchanges
from services.control.auth.tokens import Caller, People
from services.control.edge import reach
from services.control.edge.admission import Gate
from services.control.edge.admission_rules import HttpRequest
from services.control.edge.reach import Owners
from services.control.edge.requests import call_of, request_of
from services.control.edge.seal import HEADER, Call, seal
from tradingtools import clock
from tradingtools.domain.errors import TradingError, Unauthenticated
from tradingtools.rpc.errors import CODES, to_status

CALLER = "x-tt-token"
_ADDRESS = "x-tt-address"
"""Whom the edge takes a request to be from; it takes such a header from clients."""
_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNIMPLEMENTED: 405,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_log = structlog.get_logger("gateway")


class Judged(NamedTuple):
    """A request that the gate has admitted."""

    caller: Caller
    followers: frozenset[str]
    """Followers that its token is about; empty: all."""
    request: Message
    call: Call


class Gateway(external_auth_pb2_grpc.AuthorizationServicer):
    """Answers whether a request may pass.

    Args:
        gate: judges it.
        key: with which a passing request is sealed.
        owners: know whose resources are.
        people: know whose access token it is.
    """

    def __init__(self, gate: Gate, key: bytes, owners: Owners, people: People) -> None:
        self._gate = gate
        self._key = key
        self._owners = owners
        self._people = people

    async def Check(self, request: Any, _context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Called by the edge for a request, with headers and the whole body."""
        http = request.attributes.request.http
        address = http.headers.get(_ADDRESS, "")
        http_request = HttpRequest(
            verb=http.method,
            target=http.path,
            authorization=http.headers.get("authorization", ""),
            content_type=http.headers.get("content-type", ""),
            body=http.raw_body,
        )
        try:
            judged = self.judge(address, http_request, await self._known(address, http_request))
            if judged.followers or judged.caller.exchanges is not None:
                await self._demand(judged, address, http_request)
            return _allowed(self._seal(judged))
        except TradingError as error:
            return denied(error)
        except Exception:
            # Envoy turns a failed call into a refusal; the log gets the cause.
            _log.error("unexpected error in authorization", exc_info=True)
            raise

    async def _known(self, address: str, http: HttpRequest) -> Caller | None:
        """Return the person of an access token; None: it is none. Raises Unauthenticated."""
        try:
            return await self._people.known(http.authorization)
        except Unauthenticated as error:
            raise self._gate.refuse(error, address, http) from None

    def judge(self, address: str, http: HttpRequest, known: Caller | None = None) -> Judged:
        """Return a request that the gate admits; raises as ``Gate.admit``, and MalformedBody."""
        route, caller = self._gate.admit(address, http, known)
        request = request_of(route, http)
        call = call_of(route.method, request)
        return Judged(caller, self._gate.followers_of(caller), request, call)

    async def _demand(self, judged: Judged, address: str, http: HttpRequest) -> None:
        """Let a request on that its token or person reaches.

        Raises:
            NotAllowed, NotFound, Unavailable: as the tables of followers and exchanges say.
        """
        try:
            method, request = judged.call.method, judged.request
            if judged.followers:
                await reach.require(judged.followers, self._owners, method, request)
            await exchanges.require(judged.caller, self._owners, method, request)
        except TradingError as error:
            self._gate.note(error, address, http)
            raise

    def _seal(self, judged: Judged) -> str:
        return seal(self._key, judged.caller, self._gate.tokens, judged.call, clock.now_ms())


def _allowed(sealed: str) -> Any:
    return external_auth_pb2.CheckResponse(
        status=status_pb2.Status(code=0),
        ok_response=external_auth_pb2.OkHttpResponse(
            # Which token it was is for the access log of the edge alone.
            headers=[_header(HEADER, sealed), _header(CALLER, sealed.partition(":")[0])],
            headers_to_remove=["authorization"],
        ),
    )


def denied(error: TradingError) -> Any:
    """The answer that refuses a request, with the error as its body.

    What a handler raises behind the transcoder gets the same form from the edge.
    """
    status = to_status(error)
    return external_auth_pb2.CheckResponse(
        status=status_pb2.Status(code=status.code),
        denied_response=external_auth_pb2.DeniedHttpResponse(
            status=external_auth_pb2.HttpStatus(code=_STATUSES[CODES[error.reason]]),
            headers=[_header(name, value) for name, value in _headers(error).items()],
            body=json.dumps(json_format.MessageToDict(status), separators=(",", ":")),
        ),
    )


def _headers(error: TradingError) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    if error.reason == "UNAUTHENTICATED":
        headers["www-authenticate"] = "Bearer"
    if "allow" in error.metadata:
        headers["allow"] = error.metadata["allow"]
    if "retry_after_ms" in error.metadata:
        headers["retry-after"] = str(-(-int(error.metadata["retry_after_ms"]) // 1000))
    return headers


def _header(name: str, value: str) -> Any:
    return external_auth_pb2.HeaderValueOption(
        header=external_auth_pb2.HeaderValue(key=name, value=value),
        append_action=external_auth_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
