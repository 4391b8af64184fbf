"""The one table from errors to status codes, and the interceptor that applies it.

Servicers raise domain errors and never abort by themselves. What is not a domain error is our
fault: the caller gets an incident id and nothing else, the log gets the rest.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from tradingtools.domain import errors
from tradingtools.domain.permissions import PERMISSIONS, Permission, knows_callers
from tradingtools.rpc import callers, requests
from tradingtools.rpc.open_streams import OpenStreams

DOMAIN = "tradingtools"

CODES: dict[str, grpc.StatusCode] = {
    "INVALID_FIELD": grpc.StatusCode.INVALID_ARGUMENT,
    "UNKNOWN_FIELD": grpc.StatusCode.INVALID_ARGUMENT,
    "MALFORMED_BODY": grpc.StatusCode.INVALID_ARGUMENT,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "METHOD_NOT_ALLOWED": grpc.StatusCode.UNIMPLEMENTED,
    "WRONG_STATE": grpc.StatusCode.FAILED_PRECONDITION,
    "CONFLICT": grpc.StatusCode.ABORTED,
    "REQUEST_ID_REUSED": grpc.StatusCode.ALREADY_EXISTS,
    "UNAUTHENTICATED": grpc.StatusCode.UNAUTHENTICATED,
    "NOT_ALLOWED": grpc.StatusCode.PERMISSION_DENIED,
    "LIMIT_REACHED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "CURSOR_OUT_OF_RANGE": grpc.StatusCode.OUT_OF_RANGE,
    "INTERNAL": grpc.StatusCode.INTERNAL,
}

_log = structlog.get_logger("grpc")

# In quotes: gRPC's class is generic for the type checker only.
_Read: TypeAlias = "Callable[[bytes, grpc.aio.ServicerContext[Any, Any]], Message]"


def to_status(error: errors.TradingError) -> status_pb2.Status:
    """Return the wire form of a domain error: code, sentence, ErrorInfo, and RetryInfo where it
    helps."""
    code: int = CODES[error.reason].value[0]
    status = status_pb2.Status(code=code, message=error.message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    packed = AnyMessage()
    packed.Pack(info)
    status.details.append(packed)
    if "retry_after_ms" in error.metadata:
        wait = Duration()
        wait.FromMilliseconds(int(error.metadata["retry_after_ms"]))
        retry = AnyMessage()
        retry.Pack(error_details_pb2.RetryInfo(retry_delay=wait))
        status.details.append(retry)
    return status


def as_trading_error(error: Exception, method: str) -> errors.TradingError:
    """Return what a caller gets of an error: of ours all, of any other the number of an
    incident."""
    if isinstance(error, errors.TradingError):
        return error
    incident = secrets.token_hex(8)
    _log.error("unexpected error in a call", method=method, incident=incident, exc_info=error)
    return errors.TradingError(f"internal error, incident {incident}", incident=incident)


async def _fail(
    context: grpc.aio.ServicerContext[Any, Any], error: Exception, method: str
) -> NoReturn:
    await context.abort_with_status(
        rpc_status.to_status(to_status(as_trading_error(error, method)))
    )
    raise AssertionError("abort returned")


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Checks each request and its sender, and turns what a servicer raises into a proper status.

    Args:
        streams: where the server's open streams are noted.
    """

    def __init__(self, streams: OpenStreams) -> None:
        self._streams = streams

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap unary-unary and unary-stream handlers; the engine has no others."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith("/tradingtools."):
            return handler
        # The bytes come here as they are, for gRPC's own words about bad ones are not ours.
        parse: Any = handler.request_deserializer

        engine = PERMISSIONS.get(method) is Permission.ENGINE
        known = knows_callers(method)

        def read(raw: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
            request = requests.read(raw, parse, strict=not engine)
            if known:
                callers.authorize(method, request, context)
            return request

        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                _guard_unary(handler.unary_unary, read, method),
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_stream_rpc_method_handler(
            _guard_stream(handler.unary_stream, read, method, self._streams),
            response_serializer=handler.response_serializer,
        )


def _guard_unary(inner: Any, read: _Read, method: str) -> Any:
    async def call(raw: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await inner(read(raw, context), context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: nothing may leak to a client
            await _fail(context, error, method)

    return call


def _guard_stream(inner: Any, read: _Read, method: str, streams: OpenStreams) -> Any:
    async def call(raw: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            with streams.one():
                async for response in inner(read(raw, context), context):
                    yield response
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: nothing may leak to a client
            await _fail(context, error, method)

    return call
