"""Who may call on the internal port, when its callers have tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from services.control.core.tokens import Token, authorize_inside
from tradingtools.domain.errors import TradingError
from tradingtools.runtime.grpc_permissions import OURS, refusal


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Asks for a token of the scope that an RPC demands.

    Args:
        tokens: the active ones.
    """

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens

    def use(self, tokens: tuple[Token, ...]) -> None:
        """From the next call on, these tokens are the active ones."""
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Let a call on whose caller may make it."""
        method = handler_call_details.method
        if method.startswith(OURS):
            given = [
                str(value)
                for name, value in handler_call_details.invocation_metadata or ()
                if name == "authorization"
            ]
            try:
                authorize_inside(self._tokens, method, given[0] if len(given) == 1 else "")
            except TradingError as error:
                return refusal(error)
        return await continuation(handler_call_details)
