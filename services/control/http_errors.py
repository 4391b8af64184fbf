"""Errors as HTTP says them, wherever control itself answers a client: one form, one table.

What a handler raises behind the transcoder gets the same form from the edge.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import grpc
from google.protobuf import json_format

from tradingtools.domain.errors import TradingError
from tradingtools.rpc.errors import CODES, to_status

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


@dataclass(frozen=True, slots=True)
class HttpError:
    """An answer: status, headers, and JSON."""

    status: int
    headers: dict[str, str]
    body: str
    code: int
    """The number of gRPC's status."""


def http_error(error: TradingError) -> HttpError:
    """What a client is told."""
    status = to_status(error)
    headers = {"content-type": "application/json"}
    if error.reason == "UNAUTHENTICATED":
        headers["www-authenticate"] = "Bearer"
    if "allow" in error.metadata:
        headers["allow"] = error.metadata["allow"]
    if "retry_after_ms" in error.metadata:
        headers["retry-after"] = str(-(-int(error.metadata["retry_after_ms"]) // 1000))
    return HttpError(
        status=_STATUSES[CODES[error.reason]],
        headers=headers,
        body=json.dumps(json_format.MessageToDict(status), separators=(",", ":")),
        code=status.code,
    )
