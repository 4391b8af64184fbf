"""`/health/engine` names a process that does not serve, while `/ready` says that control does."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio as redis

from services.control.engine_health.part_health import (
    NO_ANSWER,
    Part,
    ProcessAnswer,
    after,
    is_well,
)
from services.control.engine_health.watch import EngineWatch, targets_of
from services.control.store import Store
from tests.control.edge import READ, RunningEdge, running_edge
from tests.control.requests import error_of
from tests.money_path.world import World, eventually, world
from tradingtools.domain.errors import Unavailable
from tradingtools.storage.postgres.pool import open_pool

_NAMED_SECONDS = 3.0
"""Within these a process that stops is named: the contract."""


@dataclass(frozen=True, slots=True)
class Running:
    """An edge, and a router that it asks."""

    edge: RunningEdge
    world: World

    async def router(self) -> dict[str, Any]:
        """Return the router's health, as REST tells it."""
        answer = await asyncio.to_thread(self.edge.call, "GET", "/health/engine", READ)
        if answer.status_code == 503:
            return {}
        assert answer.status_code == 200, answer.text
        reported: dict[str, Any] = answer.json()
        (part,) = reported["parts"]
        assert (reported["status"] == "serving") == (part["serving"] and not part["away"])
        return dict(part)

    async def serves(self) -> bool:
        """Return whether the router serves, as REST tells it."""
        return bool((await self.router()).get("serving"))

    async def named(self) -> None:
        """Wait, no longer than the contract says, until the router is named."""
        ends = time.monotonic() + _NAMED_SECONDS
        while await self.serves():
            assert time.monotonic() < ends, "a stopped router is said to serve"
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def running(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A real router and a real edge."""
    async with world(database_url, redis_url, tmp_path) as made:
        made.start("router")
        with running_edge(
            tmp_path, database_url, redis_url, engine_targets=f"router={made.target('router')}"
        ) as edge:
            found = Running(edge, made)
            await eventually(found.serves)
            yield found


async def test_a_router_that_was_killed_is_named_within_three_seconds(running: Running) -> None:
    before = (await running.router())["since"]
    running.world.kill("router", signal.SIGKILL)
    await running.named()
    down = await running.router()
    assert down["since"] > before
    assert running.edge.call("GET", "/ready", None).status_code == 200
    running.world.start("router")
    await eventually(running.serves)
    assert (await running.router())["since"] > down["since"]


async def test_stalled_router_is_named_within_three_seconds(running: Running) -> None:
    running.world.freeze("router")
    try:
        await running.named()
    finally:
        running.world.thaw("router")
    await eventually(running.serves)


async def test_the_backlog_of_a_router_is_told(running: Running) -> None:
    async def reported() -> bool:
        return (await running.router()).get("backlogMs") == "0"

    await eventually(reported)


def test_it_takes_a_token(edge: RunningEdge) -> None:
    assert error_of(edge.call("GET", "/health/engine", None))[0] == 401


async def test_who_was_told_of_nobody_says_so(database_url: str, redis_url: str) -> None:
    async with (
        open_pool(database_url, name="test", size=1) as pool,
        redis.Redis.from_url(redis_url) as client,
    ):
        with pytest.raises(Unavailable):
            EngineWatch(Store(pool, client, changes=pool), {}).engine_health()


def test_since_is_when_it_began_to_serve_or_not() -> None:
    up = after(None, ProcessAnswer(serving=True), 1)
    assert after(up, ProcessAnswer(serving=True, away=("redis",)), 2).since_ms == 1
    assert after(up, NO_ANSWER, 3) == Part(poll=NO_ANSWER, since_ms=3)
    assert not is_well([up, Part(poll=ProcessAnswer(serving=True, away=("redis",)), since_ms=1)])


@pytest.mark.parametrize("reported", ["router", "=h:1", "router=h"])
def test_a_target_that_is_none_is_refused(reported: str) -> None:
    with pytest.raises(ValueError, match="no name=host:port"):
        targets_of([reported])
