"""OperatorService: halts, orders and their ends by a person, the audit, messages set aside.

On the internal port only.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import grpc

from services.control.auth.interceptor import TokenInterceptor
from services.control.operators import audit_codec, codec
from services.control.operators.approvals import Approvals
from services.control.operators.audit import Audit
from services.control.operators.corrections import Correction, Corrections
from services.control.operators.dead_letters import DeadLetters
from services.control.operators.resolutions import Decision as Resolution
from services.control.operators.resolutions import Resolutions
from services.control.operators.store import Operators
from services.control.orders import codec as order_codec
from services.control.parsing import refuse
from services.control.subscriptions import codec as subscription_codec
from services.control.wallet_owners import Identities
from tradingtools.domain.order import Follower
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.permissions import Permission
from tradingtools.domain.trigger_types import MANUAL
from tradingtools.rpc.headers import Context
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc as pb_grpc
from tradingtools.v1.common_pb2 import FollowerIdentity
from tradingtools.v1.control_service_pb2 import Decision, Subscription
from tradingtools.v1.control_service_pb2 import SubscriptionState as pb_states

_WAITING = [OrderState.DEAD, OrderState.RESURRECTED]
_STATE = "SUBSCRIPTION_STATE_"
_FOLLOWING = ["ACTIVE", "PAUSED"]
_PAGE = 100
_NEWEST = 2**63 - 1
_SUBJECTS = {
    pb.HALT_SCOPE_GLOBAL: (re.compile(""), "nothing, for everything is halted"),
    pb.HALT_SCOPE_WALLET: (re.compile("0x[0-9a-f]{40}"), "the follower's wallet, 40 hex digits"),
    pb.HALT_SCOPE_LEADER: (re.compile("0x[0-9a-f]{40}"), "the leader's wallet, 40 hex digits"),
    pb.HALT_SCOPE_MARKET: (re.compile("0x[0-9a-f]{64}"), "the market's condition, 64 hex digits"),
}
_ADDRESS = re.compile("0x[0-9a-fA-F]{40,64}")


def _subject(scope: pb.HaltScope.ValueType, subject: str) -> tuple[str, str]:
    """Scope and subject as stored; raises InvalidField when they do not fit each other.

    What is compared with it is lower case: a halt under another spelling would hold nothing.
    """
    subject = subject.lower()
    pattern, expected = _SUBJECTS[scope]
    if not pattern.fullmatch(subject):
        raise refuse("subject", expected)
    return pb.HaltScope.Name(scope).removeprefix("HALT_SCOPE_"), subject


class OperatorServicer(pb_grpc.OperatorServiceServicer):
    """The RPCs of operators.

    Args:
        operators: halts, orders and followers.
        resolutions: ends of orders that wait for a person.
        corrections: of lots.
        audit: what was changed.
        dead_letters: messages that readers could not handle.
        identities: whose wallets are.
        inside: of the port; knows who calls.
        approvals: of a second person.
    """

    def __init__(
        self,
        operators: Operators,
        resolutions: Resolutions,
        corrections: Corrections,
        audit: Audit,
        dead_letters: DeadLetters,
        identities: Identities,
        inside: TokenInterceptor,
        approvals: Approvals,
    ) -> None:
        self._identities = identities
        self._approvals = approvals
        self._inside = inside
        self._operators = operators
        self._resolutions = resolutions
        self._corrections = corrections
        self._audit = audit
        self._dead_letters = dead_letters

    async def GetOperator(
        self, request: pb.GetOperatorRequest, context: Context
    ) -> pb.GetOperatorResponse:
        """Return whose token came with the call."""
        caller = self._inside.caller(context)
        scope = caller.scope_among(Permission.OPERATE, Permission.OBSERVE)
        return pb.GetOperatorResponse(id=caller.id, scope=scope)

    async def SetHalt(self, request: pb.SetHaltRequest, context: Context) -> pb.SetHaltResponse:
        """Stop sending; when this has answered, nothing that it forbids leaves."""
        scope, subject = _subject(request.scope, request.subject)
        mode = pb.HaltMode.Name(request.mode).removeprefix("HALT_MODE_")
        row, keys = await self._operators.set_halt(
            self._inside.operator(context), scope, subject, mode, request.reason
        )
        return pb.SetHaltResponse(halt=codec.halt(row), in_flight_order_keys=keys)

    async def ClearHalt(
        self, request: pb.ClearHaltRequest, context: Context
    ) -> pb.ClearHaltResponse:
        """Allow sending again."""
        by = self._inside.operator(context)
        await self._operators.clear_halt(by, *_subject(request.scope, request.subject))
        return pb.ClearHaltResponse()

    async def ListHalts(
        self, request: pb.ListHaltsRequest, context: Context
    ) -> pb.ListHaltsResponse:
        """Return what is halted now."""
        return pb.ListHaltsResponse(
            halts=[codec.halt(row) for row in await self._operators.halts()]
        )

    async def ListBreakers(
        self, request: pb.ListBreakersRequest, context: Context
    ) -> pb.ListBreakersResponse:
        """The circuit breakers of the executors."""
        return pb.ListBreakersResponse(
            breakers=[codec.breaker(row) for row in await self._operators.breakers()]
        )

    async def ResetBreaker(
        self, request: pb.ResetBreakerRequest, context: Context
    ) -> pb.ResetBreakerResponse:
        """Close a breaker without waiting for a probe."""
        row = await self._operators.reset_breaker(
            self._inside.operator(context), request.dependency
        )
        return pb.ResetBreakerResponse(breaker=codec.breaker(row))

    async def MoveWallet(
        self, request: pb.MoveWalletRequest, context: Context
    ) -> pb.MoveWalletResponse:
        """Give a wallet to another user and wallet id."""
        row = await self._identities.move(
            self._inside.operator(context),
            Follower(
                user_id=request.follower.follower_user_id,
                wallet_id=request.follower.follower_wallet_id,
                proxy=request.follower.follower_proxy.lower(),
            ),
            request.reason,
        )
        return pb.MoveWalletResponse(follower=FollowerIdentity(**row))

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        """One order with its whole history."""
        return order_codec.order_history(*await self._operators.orders.history(request.order_key))

    async def ListOrders(
        self, request: pb.ListOrdersRequest, context: Context
    ) -> pb.ListOrdersResponse:
        """Orders by state and wallet, with where an operator may end them."""
        states = [order_codec.state_of(state) for state in request.states] or _WAITING
        size = request.page_size or _PAGE
        rows = await self._resolutions.orders(
            states, request.follower_proxy.lower(), request.page_token, size + 1
        )
        more = len(rows) > size
        return pb.ListOrdersResponse(
            orders=[order_codec.order_summary(row) for row in rows[:size]],
            next_page_token=rows[size - 1]["order_key"] if more else "",
        )

    async def ListFollowers(
        self, request: pb.ListFollowersRequest, context: Context
    ) -> pb.ListFollowersResponse:
        """Subscriptions of all followers."""
        states = [pb_states.Name(state).removeprefix(_STATE) for state in request.states]
        size = request.page_size or _PAGE
        rows = await self._operators.followers.subscriptions(
            proxy=request.follower_proxy.lower(), leader=request.leader.lower(),
            states=states or _FOLLOWING, after=request.page_token, limit=size + 1,
        )  # fmt: skip
        return pb.ListFollowersResponse(
            subscriptions=[Subscription(**subscription_codec.subscription(r)) for r in rows[:size]],
            next_page_token=rows[size - 1]["id"] if len(rows) > size else "",
        )

    async def ListDecisions(
        self, request: pb.ListDecisionsRequest, context: Context
    ) -> pb.ListDecisionsResponse:
        """Return what was decided about a leader's transaction."""
        size = request.page_size or _PAGE
        after = tuple(request.page_token.split(":")) if request.page_token else ("", "", "")
        rows = await self._operators.followers.decisions(
            leader_tx=request.leader_tx.lower(), proxy=request.follower_proxy.lower(),
            after=after, limit=size + 1,
        )  # fmt: skip
        last = rows[size - 1] if len(rows) > size else None
        token = f"{last['subscription_id']}:{last['asset_id']}:{last['side']}" if last else ""
        decisions = [
            pb.FollowerDecision(
                subscription_id=row["subscription_id"], follower_proxy=row["follower_proxy"],
                leader=row["leader"], decision=Decision(**subscription_codec.decision(row)),
            )
            for row in rows[:size]
        ]  # fmt: skip
        return pb.ListDecisionsResponse(decisions=decisions, next_page_token=token)

    async def ResolveOrder(
        self, request: pb.ResolveOrderRequest, context: Context
    ) -> pb.ResolveOrderResponse:
        """End an order that waits for a person; answers when it is booked."""
        target = order_codec.state_of(request.to_state)
        filled = request.filled if request.HasField("filled") else None
        if filled is not None and target is not OrderState.CONFIRMED:
            raise refuse("filled", "nothing, unless toState is CONFIRMED")
        by = self._inside.operator(context)
        # Each person says his own name in it.
        same = pb.ResolveOrderRequest()
        same.CopyFrom(request)
        same.ClearField("operator")
        await self._approvals.require(by.caller, "order", request.order_key, same)
        state, seq = await self._resolutions.resolve(
            by,
            Resolution(
                order_key=request.order_key,
                to_state=target,
                evidence=request.evidence,
                operator=request.operator,
                filled=None
                if filled is None
                else (filled.size_micros, filled.notional_micros, filled.fee_micros),
            ),
        )
        return pb.ResolveOrderResponse(state=order_codec.state(state), control_seq=seq)

    async def CorrectLot(
        self, request: pb.CorrectLotRequest, context: Context
    ) -> pb.CorrectLotResponse:
        """Make a lot hold what it is found to hold; answers when it is booked."""
        by = self._inside.operator(context)
        desired = Correction(
            request_id=request.request_id,
            wallet=request.follower_proxy.lower(),
            asset_id=request.asset_id,
            origin=request.subscription_id or MANUAL,
            shares_micros=request.shares_micros,
            evidence=request.evidence,
            operator=request.operator,
        )
        same = pb.CorrectLotRequest()
        same.CopyFrom(request)
        same.ClearField("operator")
        await self._approvals.require(by.caller, "lot", desired.subject, same)
        shares, seq = await self._corrections.correct(by, desired)
        return pb.CorrectLotResponse(shares_micros=shares, control_seq=seq)

    async def AdoptLot(self, request: pb.AdoptLotRequest, context: Context) -> pb.AdoptLotResponse:
        """Make shares of a wallet a subscription's lot; answers when it is booked."""
        by = self._inside.operator(context)
        if request.cost_micros and not request.shares_micros:
            raise refuse("costMicros", "0 where shares leave the lot")
        wallet = await self._corrections.follower_of(
            request.subscription_id, adopts=request.shares_micros > 0
        )
        desired = Correction(
            request_id=request.request_id,
            wallet=wallet,
            asset_id=request.asset_id,
            origin=request.subscription_id,
            shares_micros=request.shares_micros,
            evidence=request.evidence,
            operator=request.operator,
            condition_id=request.condition_id.lower(),
            cost_micros=request.cost_micros,
        )
        same = pb.AdoptLotRequest()
        same.CopyFrom(request)
        same.ClearField("operator")
        await self._approvals.require(by.caller, "lot", desired.subject, same)
        shares, seq = await self._corrections.correct(by, desired)
        return pb.AdoptLotResponse(shares_micros=shares, control_seq=seq)

    async def ListAudit(
        self, request: pb.ListAuditRequest, context: Context
    ) -> pb.ListAuditResponse:
        """Return what was changed on the control surface, newest first."""
        size = request.page_size or _PAGE
        subject = _ADDRESS.sub(lambda found: found[0].lower(), request.subject_id)
        rows = await self._audit.entries(
            actor=request.actor, kind=request.subject_kind, subject=subject,
            before_seq=int(request.page_token or _NEWEST), limit=size + 1,
        )  # fmt: skip
        return pb.ListAuditResponse(
            entries=[audit_codec.entry(row) for row in rows[:size]],
            next_page_token=str(rows[size - 1]["seq"]) if len(rows) > size else "",
        )

    async def VerifyAudit(
        self, request: pb.VerifyAuditRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.VerifyAuditResponse]:
        """Verify the whole audit, and tell how far it has come."""
        async for step in self._audit.verify():
            yield audit_codec.progress(step)

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Context
    ) -> pb.ListDeadLettersResponse:
        """Messages that could not be handled, newest first."""
        size = request.page_size or _PAGE
        rows = await self._dead_letters.messages(
            request.consumer, int(request.page_token or _NEWEST), size + 1
        )
        return pb.ListDeadLettersResponse(
            dead_letters=[audit_codec.message(row) for row in rows[:size]],
            next_page_token=str(rows[size - 1]["id"]) if len(rows) > size else "",
        )

    async def ReplayDeadLetter(
        self, request: pb.ReplayDeadLetterRequest, context: Context
    ) -> pb.ReplayDeadLetterResponse:
        """Have a message handled again by its reader."""
        row = await self._dead_letters.replay(
            self._inside.operator(context), request.id, request.operator
        )
        return pb.ReplayDeadLetterResponse(dead_letter=audit_codec.message(row))
