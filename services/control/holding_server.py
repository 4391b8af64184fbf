"""HoldingService: decode, read, encode."""

# The signature of a servicer's method is given by the framework.
# ruff: noqa: ARG002

from __future__ import annotations

from datetime import UTC, datetime

from services.control import holding_codec
from services.control.core import paging
from services.control.edge import Context
from services.control.holdings import Holdings
from services.control.subscriptions import Subscriptions
from tradingtools.v1 import holding_service_pb2 as pb
from tradingtools.v1 import holding_service_pb2_grpc as pb_grpc

_NO_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
"""Positions are ordered by market and outcome, not by time."""


class HoldingServicer(pb_grpc.HoldingServiceServicer):
    """What subscriptions hold.

    Args:
        subscriptions: whose holdings these are.
        holdings: the lots, and what they are worth.
    """

    def __init__(self, subscriptions: Subscriptions, holdings: Holdings) -> None:
        self._subscriptions = subscriptions
        self._holdings = holdings

    async def ListSubscriptionPositions(
        self, request: pb.ListSubscriptionPositionsRequest, context: Context
    ) -> pb.ListSubscriptionPositionsResponse:
        """A page of positions."""
        await self._subscriptions.get(request.id)
        condition, size = request.condition_id.lower(), paging.size(request.page_size)
        scope = f"positions:{request.id}:{condition}:{request.open}"
        key = paging.decode(scope, request.page_token, 2)
        after = (key[1][0], key[1][1]) if key is not None else ("", "")
        rows = await self._holdings.positions(
            request.id, condition, after, size + 1, open_=request.open
        )
        response = pb.ListSubscriptionPositionsResponse(
            positions=[
                holding_codec.position(row, self._holdings.worth(row)) for row in rows[:size]
            ]
        )
        if len(rows) > size:
            last = rows[size - 1]
            response.next_page_token = paging.encode(
                scope, _NO_INSTANT, last["condition_id"], last["asset_id"]
            )
        return response
