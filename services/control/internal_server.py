"""ControlInternalService: what the product's backend does inside, with a scope of its own."""

from __future__ import annotations

from services.control.core.tokens import Token, authorize
from services.control.edge import Context, header_of
from services.control.funding import Fundings, Movement
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_internal_service_pb2_grpc as pb_grpc

_FUND = "/tradingtools.v1.ControlInternalService/Fund"


class InternalServicer(pb_grpc.ControlInternalServiceServicer):
    """Budgets.

    Args:
        fundings: of wallets.
        tokens: the active ones; the internal port has no edge that would check them.
    """

    def __init__(self, fundings: Fundings, tokens: tuple[Token, ...]) -> None:
        self._fundings = fundings
        self._tokens = tokens

    def use(self, tokens: tuple[Token, ...]) -> None:
        """From the next request on, these tokens are the active ones."""
        self._tokens = tokens

    async def Fund(self, request: pb.FundRequest, context: Context) -> pb.FundResponse:
        """Move a wallet's budget, once for each operation id."""
        authorization = header_of(context, "authorization") or ""
        caller = authorize(self._tokens, _FUND, authorization)
        funded, seq = await self._fundings.fund(
            caller,
            Movement(
                operation_id=request.operation_id,
                follower_proxy=request.follower_proxy,
                amount_micros=request.amount_micros,
                reason=request.reason,
            ),
        )
        return pb.FundResponse(funded_micros=funded, control_seq=seq)
