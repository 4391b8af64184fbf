"""HoldingService: decode, read, encode."""

from __future__ import annotations

from datetime import UTC, datetime

from services.control import paging
from services.control.edge.interceptors import caller_of
from services.control.messages import Fields, timestamp
from services.control.orders import codec as order_codec
from services.control.orders.store import Orders
from services.control.positions import codec
from services.control.positions.drift import Drift
from services.control.positions.store import Holdings
from services.control.preconditions import expected_version, request_id
from services.control.resyncs import codec as resync_codec
from services.control.resyncs.store import Resyncs
from services.control.subscriptions.store import Subscriptions
from tradingtools.rpc.headers import Context
from tradingtools.v1 import holding_service_pb2 as pb
from tradingtools.v1 import holding_service_pb2_grpc as pb_grpc

_NO_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
"""Positions are ordered by market and outcome, not by time."""


class HoldingServicer(pb_grpc.HoldingServiceServicer):
    """Positions and drift of subscriptions.

    Args:
        subscriptions: whose holdings these are.
        holdings: the lots, and what they are worth.
        drift: what they would be.
        resyncs: what brings them to what the leader's positions imply.
        orders: what was sent for them.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        holdings: Holdings,
        drift: Drift,
        resyncs: Resyncs,
        orders: Orders,
    ) -> None:
        self._subscriptions = subscriptions
        self._holdings = holdings
        self._drift = drift
        self._resyncs = resyncs
        self._orders = orders

    async def ListSubscriptionPositions(
        self, request: pb.ListSubscriptionPositionsRequest, context: Context
    ) -> pb.ListSubscriptionPositionsResponse:
        """A page of positions."""
        condition, size = request.condition_id.lower(), paging.size(request.page_size)
        scope = f"positions:{request.id}:{condition}:{request.open}"
        after = _after(scope, request.page_token)
        rows = await self._holdings.positions(
            request.id, condition, after, size + 1, open_=request.open
        )
        await self._subscriptions.known(request.id, rows)
        answer: Fields = {
            "positions": [codec.position(row, self._holdings.worth(row)) for row in rows[:size]]
        }
        if len(rows) > size:
            last = rows[size - 1]
            answer["next_page_token"] = paging.encode(
                scope, _NO_INSTANT, last["condition_id"], last["asset_id"]
            )
        return pb.ListSubscriptionPositionsResponse(**answer)

    async def GetSubscriptionDrift(
        self, request: pb.GetSubscriptionDriftRequest, context: Context
    ) -> pb.GetSubscriptionDriftResponse:
        """A page of what would be held."""
        subscription = await self._subscriptions.get(request.id)
        scope, size = f"drift:{request.id}", paging.size(request.page_size)
        after = _after(scope, request.page_token)
        found, polled_at = await self._drift.page(subscription, after, size + 1)
        response = pb.GetSubscriptionDriftResponse(
            outcomes=[codec.drift(outcome) for outcome in found[:size]]
        )
        if polled_at is not None:
            response.wallet_told_at.CopyFrom(timestamp(polled_at))
        if len(found) > size:
            last = found[size - 1]
            response.next_page_token = paging.encode(
                scope, _NO_INSTANT, last.condition_id, last.asset_id
            )
        return response

    async def CreateResync(self, request: pb.CreateResyncRequest, context: Context) -> pb.Resync:
        """A preview."""
        subscription = await self._subscriptions.get(request.id)
        idempotency = request_id(context, "CreateResync", request)
        row = await self._resyncs.create(caller_of(context), idempotency, subscription)
        return resync_codec.resync(row)

    async def ListResyncs(
        self, request: pb.ListResyncsRequest, context: Context
    ) -> pb.ListResyncsResponse:
        """A page of resyncs, newest first."""
        scope, size = f"resyncs:{request.id}", paging.size(request.page_size)
        rows = await self._resyncs.list(
            request.id, paging.decode(scope, request.page_token, 1), size + 1
        )
        await self._subscriptions.known(request.id, rows)
        page = rows[:size]
        response = pb.ListResyncsResponse(resyncs=[resync_codec.resync(row) for row in page])
        if len(rows) > size:
            response.next_page_token = paging.encode(
                scope, page[-1]["requested_at"], page[-1]["id"]
            )
        return response

    async def ListFollowerOrders(
        self, request: pb.ListFollowerOrdersRequest, context: Context
    ) -> pb.ListFollowerOrdersResponse:
        """Return a page of orders, newest first."""
        wallet, subscription = request.follower_proxy.lower(), request.subscription
        states = sorted({order_codec.state_of(state) for state in request.state})
        scope = ":".join(["orders", wallet, subscription, *states])
        size = paging.size(request.page_size)
        after = paging.decode(scope, request.page_token, 1)
        rows = await self._orders.newest(wallet, subscription, states, after, size + 1)
        page = rows[:size]
        answer = pb.ListFollowerOrdersResponse(
            orders=[order_codec.follower_order(row) for row in page]
        )
        if len(rows) > size:
            answer.next_page_token = paging.encode(
                scope, page[-1]["created_at"], page[-1]["order_key"]
            )
        return answer

    async def GetFollowerOrder(
        self, request: pb.GetFollowerOrderRequest, context: Context
    ) -> pb.FollowerOrder:
        """One order."""
        return order_codec.follower_order(await self._orders.get(request.id))

    async def GetResync(self, request: pb.GetResyncRequest, context: Context) -> pb.Resync:
        """One as it stands."""
        return resync_codec.resync(await self._resyncs.get(request.id))

    async def ExecuteResync(self, request: pb.ExecuteResyncRequest, context: Context) -> pb.Resync:
        """Do what a preview shows."""
        row = await self._resyncs.execute(
            caller_of(context), request.id, version=expected_version(context, request)
        )
        return resync_codec.resync(row)


def _after(scope: str, token: str) -> tuple[str, str]:
    """Market and outcome after which a page starts; raises InvalidField."""
    key = paging.decode(scope, token, 2)
    return (key[1][0], key[1][1]) if key is not None else ("", "")
