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
    ("serves", "redis", "message", "well"),
    [
        (True, True, "SERVING      postgresql up, redis up", True),
        (True, False, "SERVING      postgresql up, redis DOWN", False),
        (False, True, "NOT_SERVING  postgresql up, redis up", False),
    ],
)
async def test_a_process_is_well_when_all_it_depends_on_is(
    serves: bool, redis: bool, message: str, well: bool
) -> None:
    async with serving("127.0.0.1:0", [_NAME], lambda _: None) as server:
        await server.set_serving(serves)
        await server.set_health("postgresql", serving=True)
        await server.set_health("redis", serving=redis)
        reported = await asyncio.to_thread(health.of_process, "router", f"127.0.0.1:{server.port}")
    assert reported == health.ProcessHealth(name="router", message=message, well=well)


def test_a_process_that_is_away_is_named_with_its_address() -> None:
    at = f"127.0.0.1:{free_port()}"
    reported = list(
        health.of_engine(
            {"control_internal": 14}, {f"TT_{name.upper()}_LISTEN": at for name in ENGINE}
        )
    )
    assert [one.name for one in reported] == list(ENGINE)
    message = {one.name: one.message for one in reported}
    # Control is asked on its internal port: that of the edge has no operators.
    assert message.pop("control") == "does not answer at 127.0.0.1:14"
    assert set(message.values()) == {f"does not answer at {at}"}
    assert not any(one.well for one in reported)


def test_an_edge_that_is_away_is_not_ready() -> None:
    assert not health.of_edge(f"http://127.0.0.1:{free_port()}").well
