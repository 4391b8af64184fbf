"""Claims that no stream has brought, on a real database: exits are found first, and each once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs

from services.executor import store
from tests.money_path.test_submitting_once import Database, database
from tests.money_path.test_submitting_together import entry, scene, subscribe
from tests.money_path.world import eventually
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Purpose
from tradingtools.storage.postgres import journal
from tradingtools.tasks import cancel_all

__all__ = ["database"]


async def test_exit_is_found_behind_many_entries_once(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    fetch = store.fetch

    async def counted(pool: Any, name: str, **values: Any) -> list[Any]:
        nonlocal looks
        found = await fetch(pool, name, **values)
        looks += len(found) >= 500
        return found

    monkeypatch.setattr(store, "fetch", counted)
    leaving = structs.replace(
        entry("exit"), purpose=Purpose.GUARD_EXIT, side=Side.SELL, trigger_id="trg"
    )
    async with scene(database, database_url) as here:
        here.durable([entry(f"e{n}") for n in range(501)])
        here.durable([leaving])
        polling = asyncio.create_task(here.executor.queue.poll())
        try:

            async def looked() -> bool:
                return looks >= 3

            await eventually(looked)
            assert leaving.order_key in here.executor.queue.in_flight
            assert len(here.executor.queue) == len(here.executor.queue.in_flight), "each once"
        finally:
            await cancel_all([polling])


@pytest.mark.parametrize(("wished_after", "last_place"), [(0, 0), (3, 50)])
async def test_an_exit_is_sent_again_before_entries(
    wished_after: int,
    last_place: int,
    database: Database,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [entry(f"e{n}") for n in range(101)]
    leaving = structs.replace(
        entry("exit"), purpose=Purpose.GUARD_EXIT, side=Side.SELL, trigger_id="trg"
    )
    subscribe(database, version=1)
    submit_again, sent = store.submit_again, 0

    def wish() -> None:
        database.execute(
            "update orders set send_again_epoch = epoch where order_key = %s", [leaving.order_key]
        )

    async def noted(*arguments: Any) -> store.Resubmission | None:
        nonlocal sent
        sent += 1
        if sent == wished_after:
            wish()
        return await submit_again(*arguments)

    monkeypatch.setattr(store, "submit_again", noted)
    async with scene(database, database_url) as here:
        here.durable(entries)
        here.durable([leaving])
        await journal.build_open_rows(here.pool, 0, older_than_seconds=None)
        database.execute("update orders set state = 'UNKNOWN'")
        database.execute("update orders set send_again_epoch = epoch where purpose = 'ENTRY'")
        if not wished_after:
            wish()
        sending = asyncio.create_task(here.executor.send_again())
        try:
            await here.ended(102)
        finally:
            await cancel_all([sending])
        assert here.far.came.index(leaving.order_key) <= last_place
