"""Judging calls before any handler: one shape for whatever a port demands of its callers.

A port's interceptors each demand one thing (a seal, a token, a permission); the first that a call
does not satisfy answers it. Health, reflection and channelz are the port's and not judged.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import grpc
from grpc_status import rpc_status

from tradingtools.domain.errors import TradingError
from tradingtools.rpc.errors import to_status

OURS = "/tradingtools."
"""The engine's own RPCs."""

# In quotes: gRPC's class is generic for the type checker only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"
Metadata = Iterable[tuple[str, str | bytes]] | None


def values_of(metadata: Metadata, name: str) -> list[str]:
    """Every value that a call's metadata has under a name."""
    return [str(value) for key, value in metadata or () if key == name]


class Admission(grpc.aio.ServerInterceptor):
    """Lets the engine's RPCs on that ``judge`` does not refuse."""

    @abstractmethod
    def judge(self, method: str, metadata: Metadata) -> None:
        """Look at one call.

        Args:
            method: the full RPC path.
            metadata: what came with the call.

        Raises:
            TradingError: why it is refused; the caller is told.
        """

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Let a call on, or answer it with what ``judge`` raised."""
        method = handler_call_details.method
        if method.startswith(OURS):
            try:
                self.judge(method, handler_call_details.invocation_metadata)
            except TradingError as error:
                return _refusal(error)
        return await continuation(handler_call_details)


def _refusal(error: TradingError) -> Handler:
    async def refuse(_request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        await context.abort_with_status(rpc_status.to_status(to_status(error)))
        raise AssertionError("abort returned")

    return grpc.unary_unary_rpc_method_handler(refuse)
