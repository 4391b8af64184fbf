"""Test what the guard looks at four times a second, and in which order."""

from __future__ import annotations

from itertools import permutations
from typing import Any, cast

import pytest

from services.guard import store
from services.guard.settings import Settings
from services.guard.worker import Guard
from tests.integration.test_exits_batched import CHEAP, SHARE, _none
from tests.support import leases
from tradingtools.domain.book import Book
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.books import Books
from tradingtools.settings import load
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.venues.insiders.order_body import order_body

_LOTS = f"""
insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros)
select '0x' || lpad(n::text, 40, '0'), '7', 'manual', 'c', {60 * SHARE}
from generate_series(1, 3) n"""
_STOPS = """
insert into trigger (id, follower_proxy, asset_id, origin, condition_id, trigger_type, price_micros,
                     status, follower_user_id, follower_wallet_id)
select 'trg_' || lpad(n::text, 32, '0'), '0x' || lpad(n::text, 40, '0'), '7', 'manual', 'c',
       'STOP_LOSS', 400000, 'ARMED', 'u', 'w'
from generate_series(1, 3) n"""
_ENDS = """
update orders set
    state = s.state, reason = 'R', failed_kind = case s.state when 'FAILED' then 'REJECTED' end
from unnest(%(states)s::text[]) with ordinality s(state, n)
where trigger_id = 'trg_' || lpad(s.n::text, 32, '0')"""


class Quiet:
    """Books that nobody tells of."""

    def known(self, _asset_id: str) -> Book:
        return CHEAP

    def pending_books(self) -> list[Book]:
        return []


async def _fire_all(pool: Pool, writing: Pool, peaks: Pool) -> None:
    names = ("BOOKFEED", "CONFIRM")
    settings = load(Settings, "guard", {f"TT_GUARD_{n}_TARGET": "127.0.0.1:1" for n in names})
    guard = Guard(
        pool,
        await leases.held(pool, "guard"),
        cast(Books, Quiet()),
        Tail(0, _none),
        settings,
        writing=writing,
        peaks=peaks,
        body_of=order_body,
    )
    await guard.recover()
    await guard.on_books([CHEAP])


@pytest.mark.parametrize("states", [*permutations(["UNKNOWN", "FAILED", "SUBMITTED"])])
async def test_ended_exits_settle_before_status_changes(
    database_url: str, states: tuple[str, ...]
) -> None:
    prompt: dict[str, Any] = {"prompt": True, "planned_once": True}
    async with (
        open_pool(database_url, name="read", size=1) as pool,
        open_pool(database_url, name="write", size=1, **prompt) as writing,
        open_pool(database_url, name="peaks", size=1, **prompt) as peaks,
    ):
        async with pool.connection() as connection:
            await connection.execute(_LOTS)
            await connection.execute(_STOPS)
        await _fire_all(pool, writing, peaks)
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("set local session_replication_role = replica")
            await connection.execute(_ENDS, {"states": list(states)})
        rows = await store.fetch(pool, "moved_on")
    failed = f"trg_{states.index('FAILED') + 1:032}"
    assert [row["ended"] for row in rows] == [True, False, False]
    assert rows[0]["id"] == failed


@pytest.mark.parametrize(
    ("due_in", "due"), [("-1 second", True), ("8 seconds", False), ("1 hour", True)]
)
async def test_next_slice_does_not_wait_after_a_clock_step_back(
    database_url: str, due_in: str, due: bool
) -> None:
    prompt: dict[str, Any] = {"prompt": True, "planned_once": True}
    async with (
        open_pool(database_url, name="read", size=1) as pool,
        open_pool(database_url, name="write", size=1, **prompt) as writing,
        open_pool(database_url, name="peaks", size=1, **prompt) as peaks,
    ):
        async with pool.connection() as connection:
            await connection.execute(_LOTS)
            await connection.execute(_STOPS)
        await _fire_all(pool, writing, peaks)
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("set local session_replication_role = replica")
            await connection.execute(_ENDS, {"states": ["FAILED"] * 3})
            await connection.execute(
                "update trigger set next_slice_at = clock_timestamp() + %s::interval", [due_in]
            )
        rows = await store.fetch(pool, "moved_on")
        assert [row["ended"] for row in rows] == [True] * (3 if due else 0)
