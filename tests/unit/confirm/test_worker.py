"""One booking at a time: who has to wait for its turn and is stopped leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, cast

from services.confirm.booking_batcher import BookingBatcher
from services.confirm.settings import Settings
from services.confirm.worker import Confirm
from tradingtools.rpc.streams import Tail
from tradingtools.settings import load
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as pb
from tradingtools.v1 import executor_service_pb2 as executor_pb


async def _none(after: int, limit: int) -> list[tuple[int, pb.FillEvent]]:
    return []


async def test_a_booking_that_waits_for_its_turn_can_be_stopped() -> None:
    targets = {"TT_CONFIRM_EXECUTOR_TARGET": "h:1", "TT_CONFIRM_INSIDERS_URL": "http://h"}
    settings = load(Settings, "confirm", targets)
    nobody = cast(Any, None)
    booker = BookingBatcher(nobody, nobody, Tail(0, _none))
    confirm = Confirm(nobody, booker, nobody, settings)
    booking = asyncio.create_task(booker.write(asyncio.Event().wait))
    event = executor_pb.OrderEvent(order_key="k", state=common.ORDER_STATE_FAILED)
    waiting = asyncio.create_task(confirm.on_event(event))
    await asyncio.sleep(0)
    for task in (waiting, booking):
        task.cancel()
    await asyncio.gather(waiting, booking, return_exceptions=True)
    # What is never awaited says so when it is collected, and a warning is an error here.
    gc.collect()
