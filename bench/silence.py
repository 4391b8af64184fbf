"""Neighbours from whom nothing comes but checkpoints: a confirm that books nothing, a guard whose
triggers never fire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from tradingtools.rpc.streams import CHECKPOINT_SECONDS
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.v1 import confirm_service_pb2_grpc as confirm_rpc
from tradingtools.v1 import guard_service_pb2 as guard_pb
from tradingtools.v1 import guard_service_pb2_grpc as guard_rpc

Context = grpc.aio.ServicerContext[Any, Any]


class Confirm(confirm_rpc.ConfirmServiceServicer):
    """Books nothing."""

    async def StreamFills(
        self, request: confirm_pb.StreamFillsRequest, context: Context
    ) -> AsyncIterator[confirm_pb.StreamFillsResponse]:
        while True:
            yield confirm_pb.StreamFillsResponse(cursor="0")
            await asyncio.sleep(CHECKPOINT_SECONDS)

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: Context
    ) -> common.AcknowledgeResponse:
        return common.AcknowledgeResponse()


class Guard(guard_rpc.GuardServiceServicer):
    """Fires nothing."""

    async def StreamExits(
        self, request: guard_pb.StreamExitsRequest, context: Context
    ) -> AsyncIterator[guard_pb.StreamExitsResponse]:
        while True:
            yield guard_pb.StreamExitsResponse(cursor="0")
            await asyncio.sleep(CHECKPOINT_SECONDS)

    async def Acknowledge(
        self, request: common.AcknowledgeRequest, context: Context
    ) -> common.AcknowledgeResponse:
        return common.AcknowledgeResponse()


def register(server: Any) -> None:
    """Serve both."""
    confirm_rpc.add_ConfirmServiceServicer_to_server(Confirm(), server)
    guard_rpc.add_GuardServiceServicer_to_server(Guard(), server)
