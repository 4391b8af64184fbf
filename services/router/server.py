"""RouterService: claimed orders to executors and operators, previews to operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from services.router.worker import Router
from tradingtools.codec.leader_trades import row_from_pb
from tradingtools.domain.errors import InvalidField
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.books import Books
from tradingtools.runtime.claim_tail import messages
from tradingtools.runtime.cursors import Cursors
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import router_service_pb2 as pb
from tradingtools.v1 import router_service_pb2_grpc as rpc

STREAM = "orders"


class RouterServicer(rpc.RouterServiceServicer):
    """Serves one partition's claims."""

    def __init__(
        self, pool: Pool, tail: Tail[common.OrderBatch], router: Router, books: Books
    ) -> None:
        self._cursors = Cursors(pool, STREAM, tail, newest=journal.newest)
        self._tail = tail
        self._router = router
        self._books = books

    async def StreamOrders(
        self, request: pb.StreamOrdersRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.StreamOrdersResponse]:
        """Stream claims after a cursor; see the contract."""
        before = await self._cursors.beginning(request)
        async for after, batches in self._tail.follow(before):
            for reached, together in messages(before, batches):
                self._cursors.sent(request, reached)
                yield pb.StreamOrdersResponse(batches=together, cursor=str(reached))
            if not batches:
                yield pb.StreamOrdersResponse(cursor=str(after))
            before = after

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> common.AcknowledgeResponse:
        """Remember a reader's progress; see the contract."""
        return await self._cursors.acknowledge(request)

    async def PreviewRoute(
        self, request: pb.PreviewRouteRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.PreviewRouteResponse:
        """Decide without doing; see the contract."""
        try:
            fact = row_from_pb(request.trade)
        except KeyError:
            raise InvalidField(
                "trade.side: expected SIDE_BUY or SIDE_SELL", field="trade.side", expected="a side"
            ) from None
        if fact.size_micros <= 0 or fact.count <= 0:
            raise InvalidField(
                "trade.size_micros: expected a positive size", field="trade.sizeMicros",
                expected="a positive size",
            )  # fmt: skip
        book = await self._books.get(fact.key.asset_id)
        plan = await self._router.preview(fact, frozenset(request.subscription_ids), book)
        orders = {order.subscription_id: order for order in plan.orders}
        return pb.PreviewRouteResponse(
            previews=[
                pb.RoutePreview(
                    subscription_id=subscription_id,
                    copied=copy.copied and not copy.shadow,
                    reason=copy.reason,
                    detail=copy.detail,
                    size_micros=copy.ordered_size_micros,
                    limit_micros=(
                        orders[subscription_id].limit_micros if subscription_id in orders else 0
                    ),
                )
                for subscription_id, copy in plan.copies.items()
            ]
        )
