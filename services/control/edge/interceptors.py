"""Every call on the edge port carries the seal of the authorization. No other reaches a handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from grpc_status import rpc_status

from services.control.auth.security_log import SecurityLog
from services.control.auth.tokens import PUBLIC, Caller
from services.control.edge.admission import Gate
from services.control.edge.requests import call_of, decoded
from services.control.edge.seal import HEADER, unseal
from tradingtools import clock
from tradingtools.domain.errors import TradingError, Unauthenticated
from tradingtools.domain.permissions import Permission
from tradingtools.rpc.admission import (
    OURS,
    Admission,
    Continuation,
    Handler,
    Metadata,
    address_of,
    values_of,
)
from tradingtools.rpc.errors import to_status
from tradingtools.rpc.headers import Context, client_name

_AROUND = "a call without one seal; calls come through the edge"
_UNFIT = "the seal is not ours, of another call, too old, or its token is withdrawn"


class SealInterceptor(Admission):
    """Refuses calls that come without a seal for that very request.

    Args:
        key: with which the authorization seals.
        gate: knows the active tokens.
    """

    def __init__(self, key: bytes, gate: Gate) -> None:
        self._key = key
        self._gate = gate
        self._security = SecurityLog("edge")

    def judge(self, _method: str, metadata: Metadata) -> None:
        """Let a call with one seal on. Raises Unauthenticated."""
        if len(values_of(metadata, HEADER)) != 1:
            raise Unauthenticated(_AROUND)

    def refused(
        self, error: TradingError, method: str, _metadata: Metadata, address: str
    ) -> TradingError:
        """Write a refusal down; the peer is the edge, or who walked around it."""
        self._security.refused(error, address=address, token="", route=method)
        return error

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Let a sealed call on when the seal is for its very request, which comes later."""
        handler = await super().intercept_service(continuation, handler_call_details)
        seals = values_of(handler_call_details.invocation_metadata, HEADER)
        method = handler_call_details.method
        if handler is None or len(seals) != 1 or not method.startswith(OURS):
            return handler

        def check(raw: bytes, peer: str) -> None:
            """Let a request on that the seal is for. Raises Unauthenticated."""
            message = decoded(method, raw)
            call = None if message is None else call_of(method, message)
            now_ms = clock.now_ms()
            if not call or not unseal(self._key, seals[0], self._gate.tokens, call, now_ms):
                error = Unauthenticated(_UNFIT)
                self.refused(error, method, (), address_of(peer))
                raise error

        return _checking(handler, check)


def _checking(handler: Handler, check: Callable[[bytes, str], None]) -> Handler:
    """The handler, asked only with requests that pass; the edge has unary calls only."""
    parse: Callable[[bytes], Any] = handler.request_deserializer or (lambda raw: raw)
    inner: Any = handler.unary_unary

    async def call(raw: bytes, context: Context) -> Any:
        try:
            check(raw, context.peer())
        except Unauthenticated as error:
            # As the gate answers a request without a token.
            await context.send_initial_metadata((("www-authenticate", "Bearer"),))
            await context.abort_with_status(rpc_status.to_status(to_status(error)))
        return await inner(parse(raw), context)

    return grpc.unary_unary_rpc_method_handler(
        call, response_serializer=handler.response_serializer
    )


class EtagInterceptor(grpc.aio.ServerInterceptor):
    """Says an answer's version in a header, for If-Match.

    One place for every RPC whose answer has a version; the edge makes HTTP headers of metadata.
    """

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap the unary handlers; the edge port has no others of ours."""
        handler = await continuation(handler_call_details)
        ours = handler_call_details.method.startswith(OURS)
        if handler is None or handler.unary_unary is None or not ours:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            _with_etag(handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _with_etag(inner: Any) -> Any:
    async def call(request: Any, context: Context) -> Any:
        response = await inner(request, context)
        if "version" in response.DESCRIPTOR.fields_by_name:
            await context.send_initial_metadata((("etag", f'"{response.version}"'),))
        return response

    return call


def caller_of(context: Context) -> Caller:
    """Return the caller, whose seal a :class:`SealInterceptor` before it has checked.

    Raises:
        InvalidField: the name of its client is none.
    """
    name, scope, reach, _ = values_of(context.invocation_metadata(), HEADER)[0].split(":", 3)
    if scope == Permission.PUBLIC:
        return PUBLIC
    return Caller(name, Permission(scope), reach, client_name(context))
