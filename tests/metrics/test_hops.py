"""Every hop of a copy, and of a guard's exit, is timed by the process that it happens in."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest_asyncio

from launcher.ports import free_port
from tests.money_path.world import SERVICES, World, eventually, world


class Measured:
    """A money path whose processes serve metrics."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.ports = {name: free_port() for name in SERVICES}
        made.configure(
            **{f"TT_{name.upper()}_METRICS_PORT": str(port) for name, port in self.ports.items()}
        )

    def counted(self, process: str, series: str) -> int:
        """Return how many values a histogram's series has."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[process]}/metrics") as answer:
            found = re.search(rf"^{re.escape(series)} (\S+)$", answer.read().decode(), re.MULTILINE)
        assert found is not None, series
        return int(float(found[1]))


@pytest_asyncio.fixture
async def measured(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Measured]:
    """Processes on an empty database."""
    async with world(database_url, redis_url, tmp_path) as made:
        found = Measured(made)
        await made.start_all()
        yield found


async def test_each_hop_is_timed_where_it_happens(measured: Measured) -> None:
    scene = measured.world.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    subscription = await scene.subscribe(1)
    scene.put(scene.trade(size="100", price="0.5"))
    await scene.settled(1)
    stop = await scene.add_trigger(1, subscription, "STOP_LOSS", "0.40")
    await eventually(lambda: scene.stands(stop, "ARMED"))
    await scene.set_book({"0.50": "1000"}, {"0.38": "1000"})
    await scene.settled(2)
    desired = {
        ("router", 'order_hop_seconds_count{hop="decide"}'): 1,
        ("router", 'order_hop_seconds_count{hop="claim"}'): 1,
        ("executor", 'order_hop_seconds_count{hop="submit"}'): 2,
        ("executor", 'order_hop_seconds_count{hop="send"}'): 2,
        ("executor", 'order_hop_seconds_count{hop="answer"}'): 2,
        ("executor", 'order_own_seconds_count{purpose="ENTRY"}'): 1,
        ("confirm", 'order_hop_seconds_count{hop="confirm"}'): 2,
        ("guard", 'guard_exit_seconds_count{type="STOP_LOSS"}'): 1,
    }

    counted: dict[tuple[str, str], int] = {}

    async def reported() -> bool:
        # A hop is observed behind the commit that the test has seen.
        counted.update({at: measured.counted(*at) for at in desired})
        return counted == desired

    with suppress(AssertionError):
        await eventually(reported)
    assert counted == desired
    _the_sums_are_those_of_the_rows(measured, scene.orders()[0])


def _the_sums_are_those_of_the_rows(measured: Measured, entry: dict[str, int]) -> None:
    """The entry's way, as its row has it, within what the histogram of the router has summed."""
    with urllib.request.urlopen(f"http://127.0.0.1:{measured.ports['router']}/metrics") as answer:
        text = answer.read().decode()
    decided = float(re.findall(r'order_hop_seconds_sum{hop="decide"} (\S+)', text)[0])
    assert abs(decided - (entry["routed_ns"] - entry["received_ns"]) / 1e9) < 1e-6
