"""Calls of operators: JSON of a page in, gRPC of control's internal port out.

The page asks for an RPC by name, with the operator's own token; control decides and audits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from tradingtools.domain.errors import MalformedBody, NotFound, TradingError, Unavailable
from tradingtools.rpc.errors import to_status
from tradingtools.v1 import operator_service_pb2

_SERVICE = operator_service_pb2.DESCRIPTOR.services_by_name["OperatorService"]
METHODS: Mapping[str, MethodDescriptor] = {
    method.name: method for method in _SERVICE.methods if not method.server_streaming
}
_SECONDS = 10.0
_HALTS = frozenset({"SetHalt", "ClearHalt"})
HTTP: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""What the edge makes of the same codes."""


class Refused(Exception):
    """The call failed; what the page is answered with.

    Attributes:
        status: of HTTP.
        body: the error as REST spells it.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Operators:
    """Call control's internal port.

    Args:
        channel: to it; None: there is none.
        halts: another connection, for halts alone: the port serves a few calls of one at once, and
            holds back those that it refuses.
    """

    def __init__(self, channel: grpc.aio.Channel | None, halts: grpc.aio.Channel | None) -> None:
        self._channel = channel
        self._halts = halts

    @property
    def served(self) -> bool:
        """Return whether there is a port for operators."""
        return self._channel is not None

    async def call(self, name: str, body: bytes, token: str) -> bytes:
        """Return the answer of an RPC of OperatorService as JSON.

        Args:
            name: of the RPC.
            body: its request as JSON.
            token: the operator's.

        Raises:
            Refused: the RPC is unknown, the body malformed, or control says no or nothing.
        """
        method = METHODS.get(name)
        if method is None:
            raise refused(NotFound("no such call"))
        channel = self._halts if name in _HALTS else self._channel
        if channel is None:
            raise refused(Unavailable("the console was not told where operators are served"))
        try:
            request = json_format.Parse(body or b"{}", GetMessageClass(method.input_type)())
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise refused(MalformedBody(str(error).partition("\n")[0])) from None
        call: Any = channel.unary_unary(
            f"/{_SERVICE.full_name}/{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            answer = await call(
                request, timeout=_SECONDS, metadata=(("authorization", f"Bearer {token}"),)
            )
        except grpc.aio.AioRpcError as error:
            raise _refused(error) from None
        return _json(answer).encode()


def _json(message: Any) -> str:
    return json_format.MessageToJson(
        message, always_print_fields_with_no_presence=True, indent=None
    )


def refused(error: TradingError) -> Refused:
    """Return what a page is answered with for a domain error."""
    status = to_status(error)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    return Refused(HTTP.get(code, 500), json.dumps(json_format.MessageToDict(status)).encode())


def _refused(error: grpc.aio.AioRpcError) -> Refused:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    said = {"code": error.code().value[0], "message": error.details() or "no answer"}
    body = said if status is None else json_format.MessageToDict(status)
    return Refused(HTTP.get(error.code(), 500), json.dumps(body).encode())
