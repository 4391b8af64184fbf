"""ControlService: decode, store, encode. Errors travel as exceptions to the one interceptor."""

from __future__ import annotations

from google.api import httpbody_pb2  # type: ignore[import-untyped]

from services.control import paging, parsing
from services.control.edge.interceptors import caller_of
from services.control.engine_health.watch import EngineWatch
from services.control.messages import Fields
from services.control.preconditions import expected_version, request_id
from services.control.statistics import codec as statistics_codec
from services.control.statistics.performance import BookOf, performance
from services.control.statistics.sums import with_sums
from services.control.store import Row, Store
from services.control.subscriptions import codec
from services.control.subscriptions.store import Subscriptions
from tradingtools.domain.permissions import Permission
from tradingtools.domain.subscription import SubscriptionState
from tradingtools.rpc.headers import Context
from tradingtools.v1 import control_service_pb2 as pb
from tradingtools.v1 import control_service_pb2_grpc as pb_grpc


class ControlServicer(pb_grpc.ControlServiceServicer):
    """Subscriptions and what became of them.

    Args:
        store: both stores' signs of life.
        subscriptions: where they are kept.
        book: the newest book of an asset.
        openapi: the description of REST, JSON.
        engine: how its processes are.
    """

    def __init__(
        self,
        store: Store,
        subscriptions: Subscriptions,
        book: BookOf,
        openapi: bytes,
        engine: EngineWatch,
    ) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._book = book
        self._openapi = openapi
        self._engine = engine

    async def CreateSubscription(
        self, request: pb.CreateSubscriptionRequest, context: Context
    ) -> pb.Subscription:
        """Make a subscription."""
        new = codec.new_subscription(request)
        identity = request_id(context, "CreateSubscription", request)
        return pb.Subscription(
            **codec.subscription(
                await self._subscriptions.create(caller_of(context), identity, new)
            )
        )

    async def GetSubscription(
        self, request: pb.GetSubscriptionRequest, context: Context
    ) -> pb.Subscription:
        """One with statistics."""
        return pb.Subscription(**self._shown(await self._subscriptions.shown(request.id)))

    def _shown(self, row: Row) -> Fields:
        done = with_sums(row)
        return {
            **codec.subscription(row),
            "statistics": {
                **statistics_codec.statistics(done),
                **statistics_codec.performance(done, performance(done, self._book)),
            },
        }

    async def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, context: Context
    ) -> pb.ListSubscriptionsResponse:
        """Return a page of a wallet's, or of all, with statistics."""
        wallet = request.follower_proxy.lower()
        scope, size = f"subscriptions:{wallet}", paging.size(request.page_size)
        after = paging.decode(scope, request.page_token, 1)
        rows = await self._subscriptions.list(wallet, after, size + 1)
        page = rows[:size]
        answer: Fields = {"subscriptions": [self._shown(row) for row in page]}
        if len(rows) > size:
            answer["next_page_token"] = paging.encode(scope, page[-1]["created_at"], page[-1]["id"])
        return pb.ListSubscriptionsResponse(**answer)

    async def UpdateSubscription(
        self, request: pb.UpdateSubscriptionRequest, context: Context
    ) -> pb.Subscription:
        """Change the groups that are given."""
        groups = codec.given_groups(request)
        if not groups:
            raise parsing.refuse(
                "body",
                "at least one of sizing, limits, filters, exits, triggers and performance",
            )
        row = await self._subscriptions.update(
            caller_of(context),
            request.id,
            groups=groups,
            version=expected_version(context, request),
        )
        return pb.Subscription(**codec.subscription(row))

    async def PauseSubscription(
        self, request: pb.PauseSubscriptionRequest, context: Context
    ) -> pb.Subscription:
        """Stop entries."""
        return await self._set_state(request, SubscriptionState.PAUSED, context)

    async def ResumeSubscription(
        self, request: pb.ResumeSubscriptionRequest, context: Context
    ) -> pb.Subscription:
        """Allow entries again."""
        return await self._set_state(request, SubscriptionState.ACTIVE, context)

    async def DeleteSubscription(
        self, request: pb.DeleteSubscriptionRequest, context: Context
    ) -> pb.Subscription:
        """Stop entries for good."""
        return await self._set_state(request, SubscriptionState.DELETED, context)

    async def _set_state(
        self,
        request: pb.PauseSubscriptionRequest
        | pb.ResumeSubscriptionRequest
        | pb.DeleteSubscriptionRequest,
        state: SubscriptionState,
        context: Context,
    ) -> pb.Subscription:
        version = expected_version(context, request)
        row = await self._subscriptions.set_state(
            caller_of(context), request.id, state, version=version
        )
        return pb.Subscription(**codec.subscription(row))

    async def ListSubscriptionFills(
        self, request: pb.ListSubscriptionFillsRequest, context: Context
    ) -> pb.ListSubscriptionFillsResponse:
        """A page of fills, newest first."""
        scope, size = f"fills:{request.id}", paging.size(request.page_size)
        after = paging.decode(scope, request.page_token, 2)
        rows = await self._subscriptions.fills(request.id, after, size + 1)
        answer: Fields = {"fills": [codec.fill(row) for row in rows[:size]]}
        if len(rows) > size:
            last = rows[size - 1]
            answer["next_page_token"] = paging.encode(
                scope, last["matched_at"], last["order_key"], last["trade_id"]
            )
        return pb.ListSubscriptionFillsResponse(**answer)

    async def ListSubscriptionDecisions(
        self, request: pb.ListSubscriptionDecisionsRequest, context: Context
    ) -> pb.ListSubscriptionDecisionsResponse:
        """A page of decisions, newest first."""
        desired = codec.decision_filter(request)
        scope = f"decisions:{request.id}:{desired}"
        size = paging.size(request.page_size)
        after = paging.decode(scope, request.page_token, 4)
        rows = await self._subscriptions.decisions(request.id, desired, after, size + 1)
        answer: Fields = {"decisions": [codec.decision(row) for row in rows[:size]]}
        if len(rows) > size:
            last = rows[size - 1]
            answer["next_page_token"] = paging.encode(
                scope,
                last["decided_at"],
                last["leader_tx"],
                last["leader"],
                last["asset_id"],
                last["side"],
            )
        return pb.ListSubscriptionDecisionsResponse(**answer)

    async def GetHealth(self, request: pb.GetHealthRequest, context: Context) -> pb.Health:
        """This process answers."""
        return pb.Health(status="ok")

    async def GetReadiness(self, request: pb.GetReadinessRequest, context: Context) -> pb.Readiness:
        """Both stores answer."""
        await self._store.check()
        return pb.Readiness(status="ready")

    async def GetEngineHealth(
        self, request: pb.GetEngineHealthRequest, context: Context
    ) -> pb.EngineHealth:
        """Return the health of the engine's parts."""
        return self._engine.engine_health()

    async def GetCaller(self, request: pb.GetCallerRequest, context: Context) -> pb.Caller:
        """Return whose token came with the call."""
        caller = caller_of(context)
        return pb.Caller(
            id=caller.id,
            scope=caller.scope_among(Permission.MANAGE, Permission.READ),
            role=caller.role or "",
            exchanges=sorted(caller.exchanges or ()),
        )

    async def GetOpenApi(
        self, request: pb.GetOpenApiRequest, context: Context
    ) -> httpbody_pb2.HttpBody:
        """Return what REST looks like."""
        return httpbody_pb2.HttpBody(content_type="application/json", data=self._openapi)
