"""Test that what came of an order is durable although the breaker cannot be written, on a real
database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from msgspec import structs

from services.executor import store
from tests.money_path.test_submitting_once import Database, database
from tests.money_path.test_submitting_together import Scene, entry, scene, sending, subscribe
from tests.money_path.world import eventually
from tradingtools import clock
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Purpose

__all__ = ["database"]
_OPEN = "update breaker set state = 'OPEN', version = version + 1, retry_at_ms = 0"


@asynccontextmanager
async def held(database_url: str) -> AsyncIterator[None]:
    """Nobody can move the breaker."""
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("select 1 from breaker for update")
        yield


def states(here: Scene, *expected: str) -> bool:
    return list(here.states().elements()) == list(expected)


async def test_failures_are_recorded_before_they_open_the_breaker(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = entry("first"), entry("second")
    subscribe(database, version=1)
    moves, move = 0, store.move_breaker

    async def counted(*arguments: Any) -> bool:
        nonlocal moves
        moves += 1
        return await move(*arguments)

    monkeypatch.setattr(store, "move_breaker", counted)
    async with scene(database, database_url, breaker=True) as here, sending(here):
        await here.executor.breaker.read()
        here.far.statuses = {each.order_key: [500] for each in (first, second)}
        async with held(database_url):
            here.claim([first, second])

            async def recorded() -> bool:
                return states(here, "UNKNOWN", "UNKNOWN")

            await eventually(recorded)
            assert here.executor.breaker.closed

        async def opened() -> bool:
            return not here.executor.breaker.closed

        await eventually(opened)
        await eventually(lambda: settled(here))
        assert moves == 1


async def settled(here: Scene) -> bool:
    return not here.executor._sender._slow_path._reports


async def test_refused_order_waits_for_the_breaker_until_its_deadline(
    database: Database, database_url: str
) -> None:
    subscribe(database, version=1)
    async with scene(database, database_url, breaker=True) as here, sending(here):
        await here.executor.breaker.read()
        late = entry("late", not_after_ms=clock.now_ms() + 1_500)
        here.far.statuses = {late.order_key: [429]}
        async with held(database_url):
            here.claim([late])
            await here.ended(1)
            assert states(here, "FAILED")
            assert not await settled(here), "longer nobody waits"
        assert here.far.came == [late.order_key]


@pytest.mark.parametrize(("status", "ends"), [(201, "SUBMITTED"), (500, "UNKNOWN")])
async def test_a_probe_is_recorded_before_it_has_moved_the_breaker(
    status: int, ends: str, database: Database, database_url: str
) -> None:
    probe = structs.replace(
        entry("probe"), purpose=Purpose.GUARD_EXIT, side=Side.SELL, trigger_id="trg"
    )
    async with scene(database, database_url, breaker=True) as here, sending(here):
        breaker = here.executor.breaker
        await breaker.read()
        database.execute(_OPEN)
        await breaker.read()
        here.far.statuses[probe.order_key] = [status]
        answer = here.far.held[probe.order_key] = asyncio.Event()
        here.claim([probe])

        async def came() -> bool:
            return here.far.came == [probe.order_key]

        async def recorded() -> bool:
            return states(here, ends)

        async def ended() -> bool:
            (row,) = database.execute("select state from breaker").fetchall()
            return bool(row["state"] == ("CLOSED" if status == 201 else "OPEN"))

        await eventually(came)
        async with held(database_url):
            answer.set()
            await eventually(recorded)
            assert not await ended()
            assert breaker._probes, "`watch` does not give back what is about to be told of"
        await eventually(ended)
        assert here.far.came == [probe.order_key]
