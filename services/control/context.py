"""A call as gRPC hands it to a servicer."""

from __future__ import annotations

from typing import Any

import grpc

from tradingtools.rpc.admission import values_of

Context = grpc.aio.ServicerContext[Any, Any]


def header_of(context: Context, name: str) -> str | None:
    """Return a request header; several of one name are joined by commas, as HTTP has it."""
    found = values_of(context.invocation_metadata(), name)
    return ", ".join(found) if found else None
