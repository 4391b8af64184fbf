"""Every call on the edge port must carry the seal of the authorization, or reaches no handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from services.control.core.identity import HEADER, unseal
from services.control.core.tokens import PUBLIC, Caller
from tradingtools.domain.errors import Unauthenticated
from tradingtools.domain.permissions import Permission
from tradingtools.runtime.grpc_permissions import OURS, refusal

Context = grpc.aio.ServicerContext[Any, Any]


class SealInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls of the engine's RPCs that come without a seal for that very RPC.

    Args:
        key: with which the authorization seals.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Let a sealed call on; answer another by itself."""
        method = handler_call_details.method
        if not method.startswith(OURS):
            return await continuation(handler_call_details)
        seals = _values(handler_call_details.invocation_metadata)
        if len(seals) == 1 and unseal(self._key, seals[0], method) is not None:
            return await continuation(handler_call_details)
        return refusal(Unauthenticated("calls have to come through the edge"))


class EtagInterceptor(grpc.aio.ServerInterceptor):
    """Says an answer's version in a header, for If-Match.

    One place for every RPC whose answer has a version; the edge makes HTTP headers of metadata.
    """

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
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
        if isinstance(response, Message) and "version" in response.DESCRIPTOR.fields_by_name:
            etag = f'"{response.version}"'  # type: ignore[attr-defined]
            await context.send_initial_metadata((("etag", etag),))
        return response

    return call


def _values(metadata: Any) -> list[str]:
    return [str(value) for name, value in metadata or () if name == HEADER]


def caller_of(context: Context) -> Caller:
    """Who called, on a server behind a :class:`SealInterceptor`, which has checked the seal."""
    name, scope, _ = _values(context.invocation_metadata())[0].split(":")
    return PUBLIC if scope == Permission.PUBLIC else Caller(name, Permission(scope))


def header_of(context: Context, name: str) -> str | None:
    """A request header; several of one name are joined by commas, as HTTP has it."""
    found = [str(value) for key, value in context.invocation_metadata() or () if key == name]
    return ", ".join(found) if found else None
