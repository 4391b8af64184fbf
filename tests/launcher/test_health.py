"""Test how a process is, asked of a real server in one call."""

from __future__ import annotations

import asyncio

import pytest

from launcher import health
from launcher.core.programs import ENGINE
from launcher.ports import free_port
from tradingtools.rpc.transport import serving

_NAME = "tradingtools.v1.RouterService"


@pytest.mark.parametrize(
    ("serves", "redis", "said", "well"),
    [
        (True, True, "SERVING      postgresql up, redis up", True),
        (True, False, "SERVING      postgresql up, redis DOWN", False),
        (False, True, "NOT_SERVING  postgresql up, redis up", False),
    ],
)
async def test_a_process_is_well_when_all_it_depends_on_is(
    serves: bool, redis: bool, said: str, well: bool
) -> None:
    async with serving("127.0.0.1:0", [_NAME], lambda _: None) as server:
        await server.set_serving(serves)
        await server.set_health("postgresql", serving=True)
        await server.set_health("redis", serving=redis)
        told = await asyncio.to_thread(health.of_process, "router", f"127.0.0.1:{server.port}")
    assert told == health.ProcessHealth(name="router", said=said, well=well)


def test_a_process_that_is_away_is_named_with_its_address() -> None:
    at = f"127.0.0.1:{free_port()}"
    told = list(
        health.of_engine(
            {"control_internal": 14}, {f"TT_{name.upper()}_LISTEN": at for name in ENGINE}
        )
    )
    assert [one.name for one in told] == list(ENGINE)
    said = {one.name: one.said for one in told}
    # Control is asked on its internal port: that of the edge has no operators.
    assert said.pop("control") == "does not answer at 127.0.0.1:14"
    assert set(said.values()) == {f"does not answer at {at}"}
    assert not any(one.well for one in told)


def test_an_edge_that_is_away_is_not_ready() -> None:
    assert not health.of_edge(f"http://127.0.0.1:{free_port()}").well
