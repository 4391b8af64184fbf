"""What is planned when: a plan must not outlive the table that it was made for."""

from __future__ import annotations

from services.guard import store
from tradingtools.adapters.postgres.pool import open_pool

_ASK = "select 1 from lot where origin = %(origin)s"


async def test_what_the_guard_asks_now_and_then_keeps_no_plan(database_url: str) -> None:
    async with open_pool(database_url, name="plans", size=1) as pool:
        for _ in range(3):
            await store.fetch(pool, "closing")
        async with pool.connection() as connection:
            kept = await connection.execute("select count(*) as n from pg_prepared_statements")
            assert await kept.fetchone() == {"n": 0}


async def test_a_statement_of_a_pool_that_plans_once_is_planned_once(database_url: str) -> None:
    async with (
        open_pool(database_url, name="plans", size=1, planned_once=True) as pool,
        pool.connection() as connection,
    ):
        for origin in ("a", "b", "c", "d"):
            await connection.execute(_ASK, {"origin": origin})
        kept = await connection.execute(
            "select generic_plans > 0 as generic, custom_plans from pg_prepared_statements"
            " where statement like 'select 1 from lot%%'", {}
        )  # fmt: skip
        assert await kept.fetchone() == {"generic": True, "custom_plans": 0}
