"""ControlInternalService: what the product's backend does inside, with a scope of its own."""

from __future__ import annotations

from services.control.edge import Context
from services.control.funding import Fundings, Movement
from services.control.inside import TokenInterceptor
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_internal_service_pb2_grpc as pb_grpc


class InternalServicer(pb_grpc.ControlInternalServiceServicer):
    """Budgets.

    Args:
        fundings: of wallets.
        inside: of the port; it has let the call on, and knows whose token it was.
    """

    def __init__(self, fundings: Fundings, inside: TokenInterceptor) -> None:
        self._fundings = fundings
        self._inside = inside

    async def Fund(self, request: pb.FundRequest, context: Context) -> pb.FundResponse:
        """Move a wallet's budget, once for each operation id."""
        funded, seq = await self._fundings.fund(
            self._inside.caller(context),
            Movement(
                operation_id=request.operation_id,
                follower_proxy=request.follower_proxy.lower(),
                amount_micros=request.amount_micros,
                reason=request.reason,
            ),
        )
        return pb.FundResponse(funded_micros=funded, control_seq=seq)
