"""Test that what confirm tells while a claim is under way is not lost.

Found by the simulation (seed 210): a claim writes back the copies that it has read before its
commit; the end of an entry that an exit awaited, told in between, was gone, and the exit waited for
ever.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from msgspec import structs

from services.router.core.records import Awaited, Copy
from services.router.core.router_state import RouterState
from services.router.settings import Settings
from services.router.worker import Router
from tests.unit.samples import CONDITION, LEADER, TX, subscription
from tradingtools.domain.leader_trade import LeaderTrade, Side, TradeKey
from tradingtools.storage.postgres.lease import Lease
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.venues.insiders.order_body import order_body

ENTRY = "e" * 64


class _SlowClaim:
    """A claim that reads its copy, commits for a while, and writes the copy back."""

    def __init__(self, memory: RouterState, key: TradeKey, name: str) -> None:
        self._state = memory
        self._key = key
        self._name = name
        self.reached = asyncio.Event()
        self.committed = asyncio.Event()

    async def claim(self, _trade: LeaderTrade, _book: object, _cause: str, **_more: object) -> None:
        read = self._state.copies[self._key][self._name]
        self.reached.set()
        await self.committed.wait()
        self._state.put_copy(self._key, self._name, structs.replace(read, detail="judged"))


class _NoBooks:
    async def get(self, _asset: str, **_: Any) -> None:
        return None


async def test_the_end_of_an_entry_survives_a_claim_under_way() -> None:
    follower = subscription()
    lease = Lease(role="router", partition=0, epoch=1)
    settings = Settings(ingest_target="", bookfeed_target="", confirm_target="")
    pool: Any = None
    router = Router(
        pool, lease, cast(Any, _NoBooks()), cast(Any, None), settings, body_of=order_body
    )
    memory = router._state
    memory.index.put(follower)
    key = TradeKey(leader_tx=TX, leader=LEADER, asset_id="7", side=Side.SELL)
    trade = LeaderTrade(
        key=key, condition_id=CONDITION, traded_ms=1, held_before_micros=None,
        title="", traceparent="",
    )  # fmt: skip
    memory.trades[key] = trade
    awaits = (Awaited(order_key=ENTRY, filled_micros=0),)
    memory.put_copy(key, follower.id, Copy(frozen=follower, awaited=awaits, copied=True))
    memory.note_awaited(key, memory.copies[key][follower.id])
    slow = _SlowClaim(memory, key, follower.id)
    router._writer.claimer = cast(Any, slow)
    closed = confirm_pb.FillEvent(
        fill_seq=1, kind=confirm_pb.FILL_KIND_CLOSED, order_key=ENTRY, subscription_id=follower.id,
        follower_proxy=follower.follower.proxy, asset_id="7", condition_id=CONDITION,
        order_size_micros=5_000_000, order_filled_micros=5_000_000,
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        group.create_task(router._route(trade, "again-1"))
        await slow.reached.wait()
        group.create_task(router.bookings.on_fill(closed))
        # Everything that can run before the commit does.
        for _ in range(10):
            await asyncio.sleep(0)
        slow.committed.set()
    copy = memory.copies[key][follower.id]
    assert (copy.detail, copy.awaited) == ("judged", ())
