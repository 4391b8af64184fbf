"""A reader of a tail sees every item once and in order, from wherever it starts."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingtools.domain.errors import CursorOutOfRange
from tradingtools.rpc import streams
from tradingtools.rpc.streams import PAGE, Tail, read
from tradingtools.v1 import common_pb2

BOUND_SECONDS = 10.0


class Answered:
    """A call whose answer arrives when the test says so."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def read(self) -> Any:
        return await self.answer

    def cancel(self) -> None:
        self.answer.cancel()


@pytest.mark.parametrize("turns", range(5))
async def test_a_cancellation_that_meets_the_answer_ends_the_reader(turns: int) -> None:
    call = Answered()
    stream = read("test", lambda _: call, "")

    async def reader() -> None:
        async for _ in stream:
            await asyncio.sleep(BOUND_SECONDS)

    task = asyncio.create_task(reader())
    await asyncio.sleep(0.01)
    call.answer.set_result(common_pb2.AcknowledgeRequest(cursor="1"))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=1)
    assert done, "the reader went on as if nobody had ended it"
    assert task.cancelled()
    await stream.aclose()  # type: ignore[attr-defined]


class Log:
    """The store behind a tail: everything that was ever committed."""

    def __init__(self, cursors: list[int]) -> None:
        self.cursors = cursors
        self.loads = 0

    async def load(self, after: int, limit: int) -> list[tuple[int, str]]:
        self.loads += 1
        await asyncio.sleep(0)
        start = bisect_right(self.cursors, after)
        return [(cursor, f"item {cursor}") for cursor in self.cursors[start : start + limit]]


async def collect(follower: AsyncIterator[tuple[int, list[str]]], until: int) -> list[str]:
    seen: list[str] = []
    async with asyncio.timeout(BOUND_SECONDS):
        async for cursor, items in follower:
            seen += items
            if items:
                assert items[-1] == f"item {cursor}"
            if cursor >= until:
                break
    return seen


def expected(cursors: list[int], after: int) -> list[str]:
    return [f"item {cursor}" for cursor in cursors if cursor > after]


rising = st.lists(st.integers(1, 5), max_size=40).map(
    lambda gaps: [sum(gaps[: n + 1]) for n in range(len(gaps))]
)


@given(rising, st.lists(st.integers(1, 5), min_size=1, max_size=40), st.integers(1, 12), st.data())
async def test_readers_from_any_cursor_see_all_in_order(
    old: list[int], gaps: list[int], capacity: int, data: st.DataObject
) -> None:
    log = Log(list(old))
    tail: Tail[str] = Tail(old[-1] if old else 0, log.load, capacity=capacity)
    fresh = [tail.last + sum(gaps[: n + 1]) for n in range(len(gaps))]
    starts = data.draw(st.lists(st.integers(0, fresh[-1]), min_size=1, max_size=4))
    pauses = data.draw(st.lists(st.booleans(), min_size=len(fresh), max_size=len(fresh)))

    async def commit() -> None:
        for cursor, pause in zip(fresh, pauses, strict=True):
            # As in life: the store has it before the tail has.
            log.cursors.append(cursor)
            tail.append(cursor, f"item {cursor}")
            if pause:
                await asyncio.sleep(0)

    readers = [
        asyncio.create_task(collect(tail.follow(after), fresh[-1]))
        for after in starts
        if after < fresh[-1]
    ]
    await commit()
    found = await asyncio.gather(*readers)
    desired = [expected(old + fresh, after) for after in starts if after < fresh[-1]]
    assert found == desired
    assert tail.last == fresh[-1]


async def test_a_slow_reader_misses_nothing_when_memory_has_moved_on() -> None:
    log = Log([])
    tail: Tail[str] = Tail(0, log.load, capacity=4)
    follower = tail.follow(0)
    for cursor in range(1, 4):
        log.cursors.append(cursor)
        tail.append(cursor, f"item {cursor}")
    _, first = await anext(follower)
    for cursor in range(4, 3 * PAGE):
        log.cursors.append(cursor)
        tail.append(cursor, f"item {cursor}")
    rest = await collect(follower, 3 * PAGE - 1)
    assert first + rest == expected(log.cursors, 0)
    assert log.loads > 0


async def test_memory_is_bounded_and_a_near_reader_needs_no_store() -> None:
    log = Log([])
    tail: Tail[str] = Tail(0, log.load, capacity=10)
    for cursor in range(1, 1_001):
        tail.append(cursor, f"item {cursor}")
    assert await collect(tail.follow(990), 1_000) == expected(list(range(1, 1_001)), 990)
    assert log.loads == 0


async def test_pages_are_bounded() -> None:
    tail: Tail[str] = Tail(0, Log([]).load)
    for cursor in range(1, 3 * PAGE):
        tail.append(cursor, f"item {cursor}")
    sizes = []
    async for cursor, items in tail.follow(0):
        sizes.append(len(items))
        if cursor == 3 * PAGE - 1:
            break
    assert sizes == [PAGE, PAGE, PAGE - 1]


async def test_silence_gives_checkpoints_that_move_no_cursor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "CHECKPOINT_SECONDS", 0.01)
    tail: Tail[str] = Tail(7, Log([7]).load)
    follower = tail.follow(7)
    async with asyncio.timeout(BOUND_SECONDS):
        assert await anext(follower) == (7, [])
        assert await anext(follower) == (7, [])
        tail.append(8, "item 8")
        assert await anext(follower) == (8, ["item 8"])


async def test_a_waiting_reader_wakes_at_once() -> None:
    tail: Tail[str] = Tail(0, Log([]).load)
    waiting = asyncio.ensure_future(anext(tail.follow(0)))
    await asyncio.sleep(0)
    tail.append(1, "item 1")
    async with asyncio.timeout(streams.CHECKPOINT_SECONDS / 2):
        assert await waiting == (1, ["item 1"])


@pytest.mark.parametrize("cursor", [4, 5])
def test_a_cursor_that_does_not_rise_is_refused(cursor: int) -> None:
    tail: Tail[str] = Tail(0, Log([]).load)
    tail.append(5, "item 5")
    with pytest.raises(ValueError, match="does not rise"):
        tail.append(cursor, "again")
    assert tail.last == 5


class Response:
    """A response with its cursor."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor


class Call:
    """One stream that gives what it was told to and then ends or breaks."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.cancelled = False

    async def read(self) -> Any:
        answer = self.answers.pop(0)
        if answer == "silence":
            await asyncio.Event().wait()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def cancel(self) -> None:
        self.cancelled = True


def broken(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, nothing, nothing)


async def test_reading_resumes_after_the_last_response() -> None:
    calls = [
        Call([Response("1"), Response("2"), broken(grpc.StatusCode.UNAVAILABLE)]),
        Call([broken(grpc.StatusCode.UNAVAILABLE)]),
        Call([Response(""), grpc.aio.EOF]),
        Call([Response("3"), "silence"]),
        Call([Response("4")]),
    ]
    opened: list[str] = []

    def open_stream(cursor: str) -> Call:
        opened.append(cursor)
        return calls[len(opened) - 1]

    seen: list[str] = []
    async with asyncio.timeout(BOUND_SECONDS):
        reader = read("x", open_stream, "0", silence_seconds=0.05, retry_seconds=0)
        async for response in reader:
            seen.append(response.cursor)
            if response.cursor == "4":
                break
        await reader.aclose()  # type: ignore[attr-defined]
    assert seen == ["1", "2", "", "3", "4"]
    assert opened == ["0", "2", "2", "2", "3"]
    assert all(call.cancelled for call in calls)


async def test_a_cursor_of_another_log_is_told_to_the_caller() -> None:
    call = Call([broken(grpc.StatusCode.OUT_OF_RANGE)])
    with pytest.raises(CursorOutOfRange):
        await anext(read("x", lambda _: call, "9"))
    assert call.cancelled


class _Slow:
    """A server whose acknowledgements end when they are let."""

    def __init__(self) -> None:
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.let = asyncio.Semaphore(0)

    async def Acknowledge(self, request: common_pb2.AcknowledgeRequest, **_: float) -> None:
        self.started.put_nowait(request.cursor)
        await self.let.acquire()


async def test_slow_acknowledgement_blocks_no_reader_newest_follows() -> None:
    server = _Slow()
    async with asyncio.timeout(BOUND_SECONDS), streams.acknowledging(server, "r") as acknowledge:
        acknowledge("0")
        await asyncio.sleep(0)
        acknowledge("1")
        assert await server.started.get() == "1", "of those that come together the newest"
        for cursor in ("2", "3", "4"):
            acknowledge(cursor)
        server.let.release()
        assert await server.started.get() == "4"
    assert server.started.empty()
