"""Following confirm's bookings: for whoever keeps lots in memory."""

from __future__ import annotations

from typing import Any

from tradingtools.rpc import streams
from tradingtools.runtime.consumer import Consumer
from tradingtools.v1 import confirm_service_pb2 as pb


async def follow_fills(consumer: Consumer[pb.FillEvent], stub: Any, name: str, cursor: str) -> None:
    """Have each booking after a cursor handled in its order, for ever.

    Args:
        consumer: handles a booking or quarantines it.
        stub: of confirm.
        name: of the reader.
        cursor: where to start.
    """

    async def take(response: pb.StreamFillsResponse) -> bool:
        for fill in response.fills:
            await consumer.take(fill, str(fill.fill_seq))
        return bool(response.fills)

    await streams.follow(
        "fills",
        lambda c: stub.StreamFills(pb.StreamFillsRequest(cursor=c, consumer=name)),
        cursor,
        take,
        acknowledge=(stub, name),
    )
