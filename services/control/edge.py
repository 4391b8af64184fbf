"""Every call on the edge port must carry the seal of the authorization, or reaches no handler."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import Message

from services.control.core.identity import HEADER, unseal
from services.control.core.tokens import PUBLIC, Caller
from tradingtools.domain.errors import Unauthenticated
from tradingtools.domain.permissions import Permission
from tradingtools.runtime.grpc_admission import (
    OURS,
    Admission,
    Continuation,
    Handler,
    Metadata,
    values_of,
)

Context = grpc.aio.ServicerContext[Any, Any]


class SealInterceptor(Admission):
    """Refuses calls that come without a seal for that very RPC.

    Args:
        key: with which the authorization seals.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def judge(self, method: str, metadata: Metadata) -> None:
        """Let a sealed call on. Raises Unauthenticated."""
        seals = values_of(metadata, HEADER)
        if len(seals) != 1 or unseal(self._key, seals[0], method) is None:
            raise Unauthenticated("calls have to come through the edge")


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
        if isinstance(response, Message) and "version" in response.DESCRIPTOR.fields_by_name:
            etag = f'"{response.version}"'  # type: ignore[attr-defined]
            await context.send_initial_metadata((("etag", etag),))
        return response

    return call


def caller_of(context: Context) -> Caller:
    """Who called, on a server behind a :class:`SealInterceptor`, which has checked the seal."""
    name, scope, _ = values_of(context.invocation_metadata(), HEADER)[0].split(":")
    return PUBLIC if scope == Permission.PUBLIC else Caller(name, Permission(scope))


def header_of(context: Context, name: str) -> str | None:
    """A request header; several of one name are joined by commas, as HTTP has it."""
    found = values_of(context.invocation_metadata(), name)
    return ", ".join(found) if found else None
