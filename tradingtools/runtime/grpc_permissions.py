"""No call reaches a handler that the table of permissions does not give to this port.

A new RPC is refused until somebody has decided what it demands, also when a service is registered
on a port where it does not belong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_status import rpc_status

from tradingtools.domain.errors import NotAllowed, TradingError
from tradingtools.domain.permissions import PERMISSIONS, Permission
from tradingtools.runtime.grpc_errors import to_status

OURS = "/tradingtools."
"""The engine's own RPCs; health, reflection and channelz are the port's."""


def refusal(error: TradingError) -> grpc.RpcMethodHandler[Any, Any]:
    """A handler that answers any call with the error."""

    async def refuse(_request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        await context.abort_with_status(rpc_status.to_status(to_status(error)))
        raise AssertionError("abort returned")

    return grpc.unary_unary_rpc_method_handler(refuse)


class PermissionInterceptor(grpc.aio.ServerInterceptor):
    """Refuses the RPCs that this port does not serve.

    Args:
        served: what calls on this port may demand.
    """

    def __init__(self, served: frozenset[Permission]) -> None:
        self._served = served

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Let a call on that belongs here."""
        method = handler_call_details.method
        if method.startswith(OURS) and PERMISSIONS.get(method) not in self._served:
            return refusal(NotAllowed("this port does not serve this call"))
        return await continuation(handler_call_details)
