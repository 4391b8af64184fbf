"""Judging calls before any handler: one shape for whatever a port demands of its callers.

A port's interceptors each demand one thing (a seal, a token, a permission); the first that a call
does not satisfy answers it. Health, reflection and channelz are the port's and not judged.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeAlias
from urllib.parse import unquote

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


_PEER = re.compile(r"ipv[46]:\[?(.+?)\]?:[0-9]+")


def address_of(peer: str) -> str:
    """Return the address in gRPC's name of a peer; empty: it has none."""
    found = _PEER.fullmatch(unquote(peer))
    return found[1] if found else ""


class Admission(grpc.aio.ServerInterceptor):
    """Lets the engine's RPCs on that ``judge`` does not refuse."""

    @abstractmethod
    def judge(self, method: str, metadata: Metadata) -> None:
        """Look at one call.

        Args:
            method: the full RPC path.
            metadata: what came with the call.

        Raises:
            TradingError: why it is refused; the caller is notified.
        """

    def refused(
        self, error: TradingError, _method: str, _metadata: Metadata, _address: str
    ) -> TradingError:
        """Return what is answered to a call that ``judge`` refused; may note it.

        Args:
            error: that ``judge`` raised.
            _method: as ``judge`` was given it.
            _metadata: likewise.
            _address: of the peer; empty: unknown.
        """
        return error

    async def delay(self, _answer: TradingError) -> None:
        """Wait before a refusal is answered; not at all."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Let a call on, or answer it with what ``judge`` raised."""
        method = handler_call_details.method
        metadata = handler_call_details.invocation_metadata
        if method.startswith(OURS):
            try:
                self.judge(method, metadata)
            except TradingError as error:
                return self._refusal(error, method, metadata)
        return await continuation(handler_call_details)

    def _refusal(self, error: TradingError, method: str, metadata: Metadata) -> Handler:
        async def refuse(_requests: AsyncIterator[bytes], context: Any) -> None:
            answer = self.refused(error, method, metadata, address_of(context.peer()))
            await self.delay(answer)
            await context.abort_with_status(rpc_status.to_status(to_status(answer)))

        # Of any number of requests: who is refused is not waited for.
        return grpc.stream_stream_rpc_method_handler(refuse)
