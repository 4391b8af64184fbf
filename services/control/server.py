"""ControlService: decode, store, encode. Errors travel as exceptions to the one interceptor."""

from __future__ import annotations

import hashlib
import re

from google.api import httpbody_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from services.control import codec, holding_codec
from services.control.core import paging, rules
from services.control.core.sums import with_sums
from services.control.edge import Context, caller_of, header_of
from services.control.holdings import Holdings
from services.control.messages import Fields
from services.control.store import RequestId, Row, Store
from services.control.subscriptions import Subscriptions
from tradingtools.domain import ids
from tradingtools.domain.subscription import SubscriptionState
from tradingtools.v1 import control_service_pb2 as pb
from tradingtools.v1 import control_service_pb2_grpc as pb_grpc


def request_id(context: Context, method: str, request: Message) -> RequestId | None:
    """What makes a create repeatable; None without an Idempotency-Key. Raises InvalidField."""
    key = header_of(context, "idempotency-key")
    if key is None:
        return None
    return RequestId(
        method=method,
        # Of what clients put there, a token among it, nothing is kept that can be read.
        key=hashlib.sha256(rules.idempotency_key(key).encode()).hexdigest(),
        request_hash=hashlib.sha256(_same(request).SerializeToString(deterministic=True)).digest(),
    )


_SPELLED = re.compile("0x[0-9a-fA-F]{40}([0-9a-fA-F]{24})?")


def _same(request: Message) -> Message:
    """The request with its addresses in one spelling: in another it is the same request."""
    one = type(request)()
    one.CopyFrom(request)
    _spell(one)
    return one


def _spell(message: Message) -> None:
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            if _SPELLED.fullmatch(value):
                setattr(message, field.name, value.lower())
        elif field.type == FieldDescriptor.TYPE_STRING:
            value[:] = [one.lower() if _SPELLED.fullmatch(one) else one for one in value]
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                _spell(inner)


def expected_version(context: Context, request: Message) -> int | None:
    """The version that a change is meant for: If-Match, or the request's own field; None: any.

    Raises:
        InvalidField: If-Match is not one quoted version, or says another than the request.
    """
    known = "version" in request.DESCRIPTOR.fields_by_name and request.HasField("version")
    given = int(request.version) if known else None  # type: ignore[attr-defined]
    header = header_of(context, "if-match")
    if header is None:
        return given
    version = rules.if_match(header)
    if given not in (None, version):
        raise rules.refuse("version", "the version that If-Match names")
    return version


class ControlServicer(pb_grpc.ControlServiceServicer):
    """Subscriptions and what became of them.

    Args:
        store: both stores' signs of life.
        subscriptions: where they are kept.
        holdings: what they hold.
        openapi: the description of REST, JSON.
    """

    def __init__(
        self, store: Store, subscriptions: Subscriptions, holdings: Holdings, openapi: bytes
    ) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._holdings = holdings
        self._openapi = openapi

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
                **codec.statistics(done),
                **holding_codec.performance(done, self._holdings.performance(done)),
            },
        }

    async def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, context: Context
    ) -> pb.ListSubscriptionsResponse:
        """A page of a wallet's, with statistics."""
        wallet = rules.canonical(ids.wallet, request.follower_proxy, "followerProxy")
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
            raise rules.refuse(
                "body", "at least one of sizing, limits, filters, exits and triggers"
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
        wanted = codec.decision_filter(request)
        scope = f"decisions:{request.id}:{wanted}"
        size = paging.size(request.page_size)
        after = paging.decode(scope, request.page_token, 4)
        rows = await self._subscriptions.decisions(request.id, wanted, after, size + 1)
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

    async def GetOpenApi(
        self, request: pb.GetOpenApiRequest, context: Context
    ) -> httpbody_pb2.HttpBody:
        """What REST looks like."""
        return httpbody_pb2.HttpBody(content_type="application/json", data=self._openapi)
