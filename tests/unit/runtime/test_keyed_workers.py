"""Messages side by side: lanes do not wait for each other, cursors do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tradingtools.runtime.keyed_workers import MAX, KeyedWorkers
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.tasks import cancel_all


class Held:
    """A consumer whose messages end when they are let go."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ends: dict[str, asyncio.Future[None]] = {}

    async def take_batch(self, messages: Sequence[tuple[StringValue, str]]) -> None:
        end = asyncio.get_running_loop().create_future()
        name = "+".join(message.value for message, _ in messages)
        self.started.append(name)
        self.ends[name] = end
        await end

    def end(self, name: str) -> None:
        self.ends[name].set_result(None)


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class World:
    """KeyedWorkers over a held consumer, and what they acknowledge."""

    def __init__(self, consumer: Held | None = None) -> None:
        self.consumer = consumer or Held()
        self.acknowledged: list[str] = []
        self.lanes: KeyedWorkers[StringValue] = KeyedWorkers(
            cast(Any, self.consumer), self.acknowledged.append
        )

    async def put(self, cursor: str, **pieces: str) -> None:
        await self.lanes.put({k: StringValue(value=v) for k, v in pieces.items()}, cursor)
        await _settle()


async def test_a_lane_keeps_its_order_and_waits_for_no_other() -> None:
    world = World()
    running = asyncio.create_task(world.lanes.run())
    await world.put("1", a="a1")
    await world.put("2", a="a2", b="b1")
    assert world.consumer.started == ["a1", "b1"]
    world.consumer.end("b1")
    await _settle()
    assert world.acknowledged == []
    world.consumer.end("a1")
    await _settle()
    assert world.consumer.started == ["a1", "b1", "a2"]
    assert world.acknowledged == ["1"]
    world.consumer.end("a2")
    await _settle()
    assert world.acknowledged == ["1", "2"]
    running.cancel()


async def test_gap_is_never_acknowledged_and_one_ack_serves_many() -> None:
    world = World()
    running = asyncio.create_task(world.lanes.run())
    for number in range(1, 5):
        await world.put(str(number), **{f"l{number}": f"m{number}"})
    for name in ("m4", "m2", "m3"):
        world.consumer.end(name)
    await _settle()
    assert world.acknowledged == []
    world.consumer.end("m1")
    await _settle()
    assert world.acknowledged == ["4"]
    running.cancel()


async def test_what_came_meanwhile_in_a_lane_is_taken_together() -> None:
    world = World()
    running = asyncio.create_task(world.lanes.run())
    await world.put("1", a="a1", b="b1")
    await world.put("2", a="a2")
    await world.put("3", a="a3", b="b3")
    await world.put("4", b="b4")
    world.consumer.end("a1")
    await _settle()
    assert world.consumer.started == ["a1", "b1", "a2+a3"]
    world.consumer.end("a2+a3")
    await _settle()
    assert world.acknowledged == [], "of the first message a piece is under way"
    world.consumer.end("b1")
    await _settle()
    assert world.acknowledged == ["2"]
    world.consumer.end("b3+b4")
    await _settle()
    assert world.acknowledged == ["2", "4"]
    await world.put("5", a="a5")
    assert world.consumer.started[-1] == "a5"
    running.cancel()


def _newest(waiting: Sequence[StringValue]) -> list[int]:
    return [len(waiting) - 1]


async def test_chosen_items_go_first_and_a_gap_is_not_acknowledged() -> None:
    world = World()
    world.lanes = KeyedWorkers(cast(Any, world.consumer), world.acknowledged.append, _newest)
    running = asyncio.create_task(world.lanes.run())
    for number in (1, 2, 3):
        await world.lanes.put({"a": StringValue(value=f"a{number}")}, str(number), since_ns=number)
    await _settle()
    assert world.consumer.started == ["a3"]
    assert world.lanes.oldest_ns() == 1
    world.consumer.end("a3")
    await _settle()
    world.consumer.end("a2")
    await _settle()
    assert (world.consumer.started, world.acknowledged) == (["a3", "a2", "a1"], [])
    assert world.lanes.oldest_ns() == 1
    world.consumer.end("a1")
    await _settle()
    assert (world.acknowledged, world.lanes.oldest_ns()) == (["3"], None)
    running.cancel()


async def test_reader_waits_at_the_most_items_under_way() -> None:
    world = World()
    running = asyncio.create_task(world.lanes.run())
    await world.lanes.put({"a": StringValue(value="a1")}, "1", size=MAX)
    waiting = asyncio.create_task(world.lanes.put({"b": StringValue(value="b1")}, "2"))
    await _settle()
    assert world.consumer.started == ["a1"]
    world.consumer.end("a1")
    await _settle()
    assert waiting.done()
    assert world.consumer.started == ["a1", "b1"]
    running.cancel()


async def test_who_is_fenced_ends_and_takes_the_others_along() -> None:
    world = World()
    running = asyncio.create_task(world.lanes.run())
    await world.put("1", a="a1")
    await world.put("2", b="b1")
    world.consumer.ends["a1"].set_exception(Fenced("another owns it"))
    with pytest.raises(Fenced):
        await running
    await _settle()
    assert world.consumer.ends["b1"].cancelled()
    assert world.acknowledged == []


async def test_lane_ended_by_a_foreign_cancellation_ends_the_reader() -> None:
    world = World()
    running = asyncio.create_task(world.lanes.run())
    await world.put("1", a="a1")
    await world.put("2", a="a2", b="b1")
    world.consumer.ends["a1"].cancel()
    with pytest.raises(RuntimeError, match="lane a was cancelled"):
        await running
    assert world.consumer.ends["b1"].cancelled()
    assert world.acknowledged == []


async def test_a_message_without_pieces_is_acknowledged() -> None:
    world = World()
    running = asyncio.create_task(world.lanes.run())
    await world.put("1")
    assert world.acknowledged == ["1"]
    running.cancel()


class Stubborn(Held):
    """A consumer whose message goes on after a first cancellation."""

    async def take_batch(self, messages: Sequence[tuple[StringValue, str]]) -> None:
        try:
            await super().take_batch(messages)
        except asyncio.CancelledError:
            await super().take_batch(messages)


async def test_message_that_swallows_a_cancel_ends_with_the_next() -> None:
    world = World(Stubborn())
    running = asyncio.create_task(world.lanes.run())
    await world.put("1", a="a1")
    await world.put("2", b="b1")
    await cancel_all([running])
    assert running.cancelled()
    assert sorted(world.consumer.started) == ["a1", "a1", "b1", "b1"]
    assert len(asyncio.all_tasks()) == 1
