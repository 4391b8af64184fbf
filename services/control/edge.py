"""Every call on the edge port carries the seal of the authorization, or is a plain read that is
judged here in its place. No other reaches a handler.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import Message

from services.control.answers import Answer
from services.control.core.gate import HttpRequest
from services.control.core.identity import HEADER, unseal
from services.control.core.tokens import PUBLIC, Caller
from services.control.gate import Gate
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

AROUND = "calls have to come through the edge"
_TARGET = "x-envoy-original-path"
_VERB = "x-envoy-original-method"
"""What a call was before the transcoder. The edge takes such headers from whoever is outside."""
Context = grpc.aio.ServicerContext[Any, Any]


class SealInterceptor(Admission):
    """Refuses calls that come without a seal for that very RPC, unless they are plain reads.

    Args:
        key: with which the authorization seals.
        gate: judges reads that the edge has handed on without asking.
    """

    def __init__(self, key: bytes, gate: Gate) -> None:
        self._key = key
        self._gate = gate

    def judge(self, method: str, metadata: Metadata) -> None:
        """Let a sealed call or a read on. Raises Unauthenticated, or what the gate does."""
        seals = values_of(metadata, HEADER)
        if not seals:
            self._judge_read(method, metadata)
        elif len(seals) != 1 or unseal(self._key, seals[0], method) is None:
            raise Unauthenticated(AROUND)

    def _judge_read(self, method: str, metadata: Metadata) -> None:
        targets, verbs = values_of(metadata, _TARGET), values_of(metadata, _VERB)
        if len(targets) != 1 or verbs != ["GET"]:
            raise Unauthenticated(AROUND)
        tokens = values_of(metadata, "authorization")
        # The edge takes this header from clients and writes it anew: one address, its caller's.
        addresses = values_of(metadata, "x-forwarded-for")
        route, _ = self._gate.admit(
            addresses[0] if len(addresses) == 1 else "",
            HttpRequest(
                verb="GET",
                target=targets[0],
                authorization=tokens[0] if len(tokens) == 1 else "",
                content_type="",
                body=b"",
            ),
        )
        if route.method != method:
            raise Unauthenticated(AROUND)


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
        version = etag(response)
        if version is not None:
            await context.send_initial_metadata((("etag", version),))
        return response

    return call


def etag(answer: Any) -> str | None:
    """An answer's version as the header has it; None: it has none."""
    if isinstance(answer, Answer):
        return f'"{answer.fields["version"]}"' if "version" in answer.fields else None
    if isinstance(answer, Message) and "version" in answer.DESCRIPTOR.fields_by_name:
        return f'"{answer.version}"'  # type: ignore[attr-defined]
    return None


def caller_of(context: Context) -> Caller:
    """Who called, on a server behind a :class:`SealInterceptor`, which has checked the seal."""
    name, scope, _ = values_of(context.invocation_metadata(), HEADER)[0].split(":")
    return PUBLIC if scope == Permission.PUBLIC else Caller(name, Permission(scope))


def header_of(context: Context, name: str) -> str | None:
    """A request header; several of one name are joined by commas, as HTTP has it."""
    found = values_of(context.invocation_metadata(), name)
    return ", ".join(found) if found else None
