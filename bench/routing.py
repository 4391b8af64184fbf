"""The router's decision on a leader's trade now, asked over its own contract."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bench.scene import Scene
from tradingtools.domain.money import parse_exact
from tradingtools.rpc import callers, transport
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import ingest_service_pb2 as ingest_pb
from tradingtools.v1 import router_service_pb2 as pb
from tradingtools.v1 import router_service_pb2_grpc as rpc

_SHARES = 1_000_000_000


class Router:
    """Asks one router. Args: stub: of it; here: whose asset is traded."""

    def __init__(self, stub: Any, here: Scene) -> None:
        self._stub = stub
        self._asset = here.asset

    async def preview(self, leader: str, subscription_id: str) -> pb.RoutePreview | None:
        """Of one follower; None when the router does not know him."""
        now_ns = time.time_ns()
        trade = ingest_pb.LeaderTradeEvent(
            leader_tx=f"0x{now_ns:064x}",
            leader=leader,
            asset_id=self._asset.asset_id,
            condition_id=self._asset.condition_id,
            side=common.SIDE_BUY,
            price_micros=parse_exact(self._asset.price),
            price_text=self._asset.price,
            size_micros=_SHARES,
            count=1,
            source=ingest_pb.TRADE_SOURCE_FEED,
            traded_ms=now_ns // 1_000_000,
            received_ns=now_ns,
        )
        answer: pb.PreviewRouteResponse = await self._stub.PreviewRoute(
            pb.PreviewRouteRequest(trade=trade, subscription_ids=[subscription_id])
        )
        return answer.previews[0] if answer.previews else None


@asynccontextmanager
async def router(here: Scene) -> AsyncIterator[Router]:
    """The scene's router."""
    prepared = here.engine.prepared
    there = transport.channel(prepared.addresses["router"])
    shown = ((callers.HEADER, prepared.engine_token),)
    async with transport.showing(there, shown) as channel:
        yield Router(rpc.RouterServiceStub(channel), here)
