"""The authorization service that the edge asks before anything else sees a request.

An allowed request goes on with a seal in its headers and without its token; a refused one is
answered here, in the same form as every other error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import grpc
import structlog
from google.protobuf import json_format
from google.rpc import status_pb2
from opentelemetry import metrics

from ext_authz import external_auth_pb2, external_auth_pb2_grpc
from services.control.core.gate import HttpRequest, Route, admit
from services.control.core.identity import HEADER, seal
from services.control.core.tokens import Caller, Token
from services.control.limiter import Limiter
from tradingtools.adapters import clock
from tradingtools.domain.errors import TradingError, Unauthenticated
from tradingtools.runtime.grpc_errors import CODES, to_status

_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNIMPLEMENTED: 405,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
}

_log = structlog.get_logger("gateway")
_meter = metrics.get_meter("tradingtools.control")
_requests = _meter.create_counter(
    "control.requests", description="requests that the edge asked about, by outcome"
)
_last_used = _meter.create_gauge(
    "control.token_last_used", unit="s", description="when a token was last used, since 1970"
)


class Gateway(external_auth_pb2_grpc.AuthorizationServicer):
    """Answers whether a request may pass.

    Args:
        routes: the public REST routes.
        tokens: the active ones.
        key: with which a passing request is sealed.
        limiter: counts who asks.
    """

    def __init__(
        self, routes: Sequence[Route], tokens: tuple[Token, ...], key: bytes, limiter: Limiter
    ) -> None:
        self._routes = routes
        self._tokens = tokens
        self._key = key
        self._limiter = limiter

    def use(self, tokens: tuple[Token, ...]) -> None:
        """From the next request on, these tokens are the active ones."""
        self._tokens = tokens

    async def Check(self, request: Any, _context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Called by the edge for each request, with headers and the whole body."""
        http = request.attributes.request.http
        address = request.attributes.source.address.socket_address.address
        try:
            route, caller = self._admit(
                address,
                HttpRequest(
                    verb=http.method,
                    target=http.path,
                    authorization=http.headers.get("authorization", ""),
                    content_type=http.headers.get("content-type", ""),
                    body=http.raw_body,
                ),
            )
        except TradingError as error:
            _requests.add(1, {"outcome": error.reason})
            return denied(error)
        except Exception:
            # Envoy turns a failed call into a refusal; the log gets the cause.
            _log.error("unexpected error in authorization", exc_info=True)
            raise
        _requests.add(1, {"outcome": "admitted", "method": route.method, "caller": caller.id})
        _last_used.set(clock.now_ms() // 1000, {"token": caller.id})
        return _allowed(seal(self._key, caller, route.method))

    def _admit(self, address: str, http: HttpRequest) -> tuple[Route, Caller]:
        """As ``admit``, and counted; raises LimitReached in the place of another error, too."""
        try:
            route, caller = admit(self._routes, self._tokens, http)
        except Unauthenticated:
            self._limiter.refused(address)
            raise
        except TradingError:
            self._limiter.asked(address)
            raise
        self._limiter.admitted(address, caller)
        return route, caller


def _allowed(sealed: str) -> Any:
    return external_auth_pb2.CheckResponse(
        status=status_pb2.Status(code=0),
        ok_response=external_auth_pb2.OkHttpResponse(
            headers=[_header(HEADER, sealed)], headers_to_remove=["authorization"]
        ),
    )


def denied(error: TradingError) -> Any:
    """The answer that refuses a request, with the error as its body."""
    status = to_status(error)
    headers = [_header("content-type", "application/json")]
    if error.reason == "UNAUTHENTICATED":
        headers.append(_header("www-authenticate", "Bearer"))
    if "allow" in error.metadata:
        headers.append(_header("allow", error.metadata["allow"]))
    if "retry_after_ms" in error.metadata:
        seconds = -(-int(error.metadata["retry_after_ms"]) // 1000)
        headers.append(_header("retry-after", str(seconds)))
    return external_auth_pb2.CheckResponse(
        status=status_pb2.Status(code=status.code),
        denied_response=external_auth_pb2.DeniedHttpResponse(
            status=external_auth_pb2.HttpStatus(code=_HTTP[CODES[error.reason]]),
            headers=headers,
            body=json.dumps(json_format.MessageToDict(status), separators=(",", ":")),
        ),
    )


def _header(name: str, value: str) -> Any:
    return external_auth_pb2.HeaderValueOption(
        header=external_auth_pb2.HeaderValue(key=name, value=value),
        append_action=external_auth_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
