"""Values in, figures with goals out; frames as a server writes them; a short run of each part."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from bench.core.sheet import Figure, later
from bench.core.wire import text_frame
from bench.machine import Watch
from bench.parts import PARTS, RunParameters
from bench.report import described, sheet

FIGURE = Figure(what="frames", under="nothing else", value=9.0, unit="a second", goal=10.0)


def test_a_goal_is_a_bound_from_above_or_from_below() -> None:
    assert FIGURE.met is True
    assert replace(FIGURE, at_least=True).met is False
    assert replace(FIGURE, at_least=True, value=10.0).met is True
    assert replace(FIGURE, value=10.1).met is False
    assert replace(FIGURE, goal=None).met is None


def test_later_is_the_difference_of_percentiles_and_has_the_goal() -> None:
    found = {
        f.what: f for f in later("POST", "a crowd", [1.0, 2.0, 9.0], [4.0, 9.0, 8.0], goal_ms=5.0)
    }
    assert found["POST later by, p50"].value == 6.0
    assert found["POST later by, p50"].met is False
    assert found["POST later by, p99"].value == 0.0
    assert found["POST later by, p99"].met is True
    assert found["POST alone, p99"].value == 9.0
    with pytest.raises(ValueError, match="no values"):
        later("POST", "a crowd", [], [1.0], goal_ms=5.0)


def test_sheet_shows_every_figure_and_where_it_was_measured() -> None:
    assert sheet("filter", [FIGURE, FIGURE]).row_count == 2
    kept = described(Watch(), figures=[FIGURE])
    assert kept.figures == [FIGURE]
    assert kept.machine["cores"]
    assert 0 <= float(kept.machine["stolen"]) <= 1


@pytest.mark.parametrize("size", [0, 125, 126, 65_535])
async def test_a_frame_is_read_by_a_client_as_it_was_meant(size: int) -> None:
    text = "x" * size

    async def handle(connection: ServerConnection) -> None:
        connection.transport.write(text_frame(text.encode()))
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as client:
            assert await asyncio.wait_for(client.recv(), 20) == text


def test_a_frame_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="65536 bytes"):
        text_frame(b"x" * 65_536)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", PARTS)
async def test_each_part_measures_something(part: str) -> None:
    found = await PARTS[part](RunParameters(followers=3, factor=0.02), lambda _: None)
    assert found
    for figure in found:
        # Two small runs may take or need as much as each other; nothing else can be nothing.
        assert figure.value > 0 or "later" in figure.what or "memory of" in figure.what
