"""Claims that wait for SUBMITTING: who is committed when, and which cursor may be acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.executor import store
from services.executor.core.gate import Gate, Limits
from services.executor.reading import Cursors
from services.executor.settings import Settings
from services.executor.worker import Executor
from tests.unit.samples import order
from tradingtools.adapters.insiders.client import InsidersClient
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.tasks import cancel_all
from tradingtools.codec.claims import order_to_pb
from tradingtools.domain.order import Follower, Order, Purpose
from tradingtools.v1 import common_pb2 as pb

LIMITS = Limits(order_notional_micros=None, wallet_minute_micros=None, orders_per_minute=None)


@given(st.data())
def test_a_cursor_is_told_when_everything_up_to_it_is_handled(data: st.DataObject) -> None:
    told: list[int] = []
    cursors = Cursors(lambda cursor: told.append(int(cursor)))
    counts = data.draw(st.lists(st.integers(1, 3), max_size=8), label="claims of each message")
    handled = [cursors.expect(str(n), count) for n, count in enumerate(counts)]
    claims = [n for n, count in enumerate(counts) for _ in range(count)]
    left = list(counts)
    for n in data.draw(st.permutations(claims), label="in the order in which they are handled"):
        handled[n]()
        left[n] -= 1
        open_ones = [m for m, count in enumerate(left) if count]
        reached = open_ones[0] - 1 if open_ones else len(counts) - 1
        assert (told[-1] if told else -1) == reached
    assert told == sorted(set(told))


@dataclass
class Scene:
    """An executor whose SUBMITTING commits take as long as they are held."""

    executor: Executor
    committed: list[list[str]] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    handled: list[int] = field(default_factory=list)

    async def put(self, seq: int, *orders: Order) -> None:
        batch = pb.OrderBatch(journal_seq=seq, orders=[order_to_pb(each) for each in orders])
        await self.executor.on_batch(batch, lambda: self.handled.append(seq))

    async def run_until_idle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


@asynccontextmanager
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    lease = Lease(role="executor", partition=0, epoch=1)
    settings = Settings(router_target="", guard_target="", insiders_url="")
    nothing: Any = None
    client = cast(InsidersClient, nothing)
    here = Scene(Executor(nothing, lease, client, settings, Gate(LIMITS)))

    async def submit_batch(
        pool: Any, lease: Lease, orders: Sequence[Order], control_seq: int, lease_ms: int
    ) -> store.Admission:
        await here.held.wait()
        here.committed.append([each.order_key for each in orders])
        return store.Admission(duplicate=True)  # Nothing is sent.

    monkeypatch.setattr(store, "submit_batch", submit_batch)
    running = asyncio.create_task(here.executor.submit())
    try:
        yield here
    finally:
        await cancel_all([running])


def entry(key: str, wallet: str, leader: str = "crowd") -> Order:
    follower = Follower(user_id="u", wallet_id="w", proxy=wallet)
    made: Order = structs.replace(
        order(), order_key=key, follower=follower, leader=leader, purpose=Purpose.ENTRY
    )
    return made


def leaving(key: str, wallet: str) -> Order:
    made: Order = structs.replace(entry(key, wallet, "x"), purpose=Purpose.GUARD_EXIT)
    return made


async def test_others_come_between_the_parts_of_a_crowd_and_exits_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(monkeypatch) as here:
        for part in range(3):
            await here.put(part, entry(f"p{part}", f"w{part}"), entry(f"q{part}", f"v{part}"))
        await here.run_until_idle()
        await here.put(3, entry("single", "w9", "other"))
        await here.put(4, entry("behind", "w1", "third"))
        await here.put(5, leaving("exit", "w1"))
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [
            ["p0", "q0"], ["exit"], ["single"], ["p1", "q1"], ["behind"], ["p2", "q2"],
        ]  # fmt: skip
        assert here.handled == [0, 5, 3, 1, 4, 2]


async def test_a_claim_that_is_brought_twice_is_handled_when_it_is_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(monkeypatch) as here:
        await here.put(1, entry("a", "w1"), entry("b", "w2"))
        await here.run_until_idle()
        await here.put(2, entry("c", "w3"), leaving("d", "w3"))
        await here.put(3, entry("c", "w3"))
        await here.run_until_idle()
        assert here.handled == []
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [["a", "b"], ["c", "d"]]
        assert here.handled == [1, 2, 3]


async def test_exits_get_in_line_where_entries_have_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.executor.worker._WINDOW", 2)
    async with scene(monkeypatch) as here:
        await here.put(1, entry("a", "w1"), entry("b", "w2"))
        await here.run_until_idle()
        waiting = asyncio.create_task(here.put(2, entry("c", "w3")))
        async with asyncio.timeout(20):
            await here.put(3, leaving("d", "w3"))
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [["a", "b"], ["d"]]
        here.executor.done(["a", "b", "d"])
        await here.run_until_idle()
        assert here.committed == [["a", "b"], ["d"], ["c"]]
        await waiting
