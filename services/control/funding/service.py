"""ControlInternalService: what the product's processes do inside, with a scope of its own."""

from __future__ import annotations

from services.control.auth.interceptor import TokenInterceptor
from services.control.funding.store import Fundings, Transfer
from services.control.operators.approvals import Approvals
from services.control.performance import codec
from services.control.performance.store import Actions
from tradingtools.rpc.headers import Context
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_internal_service_pb2_grpc as pb_grpc


class InternalServicer(pb_grpc.ControlInternalServiceServicer):
    """Budgets, and performance actions.

    Args:
        fundings: of wallets.
        actions: of performance rules.
        inside: of the port; it has let the call on, and knows whose token it was.
        approvals: of a second person.
    """

    def __init__(
        self,
        fundings: Fundings,
        actions: Actions,
        inside: TokenInterceptor,
        approvals: Approvals,
    ) -> None:
        self._actions = actions
        self._approvals = approvals
        self._fundings = fundings
        self._inside = inside

    async def Fund(self, request: pb.FundRequest, context: Context) -> pb.FundResponse:
        """Move a wallet's budget, once for each operation id."""
        caller = self._inside.caller(context)
        proxy = request.follower_proxy.lower()
        await self._approvals.require(caller, "funding", proxy, request)
        funded, seq = await self._fundings.fund(
            caller,
            Transfer(
                operation_id=request.operation_id,
                follower_proxy=proxy,
                amount_micros=request.amount_micros,
                reason=request.reason,
            ),
        )
        return pb.FundResponse(funded_micros=funded, control_seq=seq)

    async def PerfAction(
        self, request: pb.PerfActionRequest, context: Context
    ) -> pb.PerfActionResponse:
        """Do what performance rules demand, once for each action id."""
        caller = self._inside.caller(context)
        return codec.done(await self._actions.act(caller, codec.action_request(request)))

    async def PerfActions(
        self, request: pb.PerfActionsRequest, context: Context
    ) -> pb.PerfActionsResponse:
        """Do what performance rules of several subscriptions demand, each once."""
        found = await self._actions.act_all(
            self._inside.caller(context), [codec.action_request(one) for one in request.actions]
        )
        return pb.PerfActionsResponse(results=map(codec.result, found))
