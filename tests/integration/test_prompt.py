"""A prompt statement says what a cursor would say, and breaks as one would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.pool import Pool, open_pool

_ALL_TYPES = """
select %(small)s::int2 as small, %(whole)s::int4 as whole, %(large)s::int8 as large,
       %(name)s::text as name, %(nothing)s::text as nothing, length(%(bytes)s::bytea) as length,
       %(large)s::int8 > 0 as positive, jsonb_build_object('a', %(whole)s::int4) as object,
       json_build_array(%(name)s::text) as list, %(no)s::bool as no, %(yes)s::bool as yes,
       %(at)s::timestamptz as at, %(at)s::timestamptz + interval '0.5 s' as later,
       encode(%(bytes)s::bytea, 'hex') = %(hex)s as same
"""


@pytest.mark.parametrize("size", [0, 1, 300_000])
async def test_it_says_what_a_cursor_says(database_url: str, size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + b"\x00" * (size % 256)
    values: dict[str, Any] = {
        "small": -7,
        "whole": 2_147_483_647,
        "large": 9_223_372_036_854_775_807,
        "name": "ünï'code %% \\",
        "nothing": None,
        "bytes": payload,
        "hex": payload.hex(),
        "no": False,
        "yes": True,
        "at": datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=-5))),
    }
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        expected = await (await one.execute(_ALL_TYPES, values)).fetchone()
        # Prepared with the first, used again with the second.
        assert [
            await one.fetch_row(_ALL_TYPES, values),
            await one.fetch_row(_ALL_TYPES, values),
        ] == ([expected, expected])
        assert expected is not None
        assert (expected["same"], expected["length"]) == (True, size)


async def test_of_several_rows_the_first_counts_or_all(database_url: str) -> None:
    text = "select n, nullif(n, 2) as odd from generate_series(1, %(most)s::int4) n"
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        assert await one.fetch_row(text, {"most": 0}) is None
        assert await one.fetch_rows(text, {"most": 0}) == []
        rows = [{"n": 1, "odd": 1}, {"n": 2, "odd": None}, {"n": 3, "odd": 3}]
        assert await one.fetch_row(text, {"most": 3}) == rows[0]
        assert await one.fetch_rows(text, {"most": 3}) == rows


async def test_several_travel_together_and_each_has_its_rows(database_url: str) -> None:
    many = "select n, repeat('x', 1000) as filler from generate_series(1, %(most)s::int4) n"
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        for most in (0, 3, 3_000):
            none, some, length = await one.fetch_pipelined([
                ("select 1 as one where false", {}),
                (many, {"most": most}),
                ("select length(%(bytes)s::bytea) as length", {"bytes": b"\x00" * 300_000}),
            ])  # fmt: skip
            assert (none, length) == ([], [{"length": 300_000}])
            assert [row["n"] for row in some] == list(range(1, most + 1))
        assert await one.fetch_row("select 1 as one", {}) == {"one": 1}


async def test_of_several_the_first_failure_is_told_and_ends_them(database_url: str) -> None:
    put: tuple[str, dict[str, Any]] = (
        "create temporary table if not exists seen (n) as select 1",
        {},
    )
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        share = "select 1 / %(by)s::int4 as share"
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await one.fetch_pipelined([(share, {"by": 1}), (share, {"by": 0}), put])
        assert await one.fetch_row("select to_regclass('seen') is null as none", {}) == {
            "none": True
        }


async def test_a_list_of_texts_is_an_array(database_url: str) -> None:
    names = ["", "plain", 'quo"ted', "back\\slash", "a, b", "{null}", "null", "ünï\n"]
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        text = "select name from unnest(%(names)s::text[]) with ordinality u (name, n) order by n"
        rows = await one.fetch_rows(text, {"names": names})
        assert [row["name"] for row in rows] == names
        assert await one.fetch_rows(text, {"names": []}) == []


async def test_query_works_after_the_server_lost_its_plans(
    database_url: str,
) -> None:
    text = "select %(one)s::int4 as one"
    async with open_pool(database_url, name="test", size=1, prompt=True) as pool:
        async with pool.connection() as one:
            assert await one.fetch_row(text, {"one": 1}) == {"one": 1}
        # Cursors beside it: psycopg prepares as well, and forgets all of it with a rollback.
        for _ in range(3):
            async with pool.connection() as one, one.transaction():
                await one.execute("select 2 as two")
        with pytest.raises(LookupError):
            async with pool.connection() as one, one.transaction():
                raise LookupError
        async with pool.connection() as one:
            assert await one.fetch_row(text, {"one": 1}) == {"one": 1}
            # Somebody else's doing is noticed with the first statement.
            await one.execute("deallocate all")
            with pytest.raises(psycopg.errors.InvalidSqlStatementName):
                await one.fetch_row(text, {"one": 1})
            assert await one.fetch_rows(text, {"one": 1}) == [{"one": 1}]
            await one.execute("deallocate all")
            with pytest.raises(psycopg.errors.InvalidSqlStatementName):
                await one.fetch_pipelined([(text, {"one": 1}), (text, {"one": 2})])
            assert await one.fetch_pipelined([(text, {"one": 1})]) == [[{"one": 1}]]


@pytest.mark.parametrize("value", ["a\x00b", ["a", "b\x00"]])
async def test_text_with_nul_is_refused_and_not_cut(database_url: str, value: Any) -> None:
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        with pytest.raises(psycopg.DataError, match="name: "):
            await one.fetch_row("select %(name)s::text as name", {"name": value})
        assert await one.fetch_row("select 1 as one", {}) == {"one": 1}


@pytest.mark.parametrize("value", [1.5, [1.5], [1, "a"], [True]])
async def test_a_value_of_another_type_is_named(database_url: str, value: Any) -> None:
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        with pytest.raises(TypeError, match="amount: "):
            await one.fetch_row("select %(amount)s::text as amount", {"amount": value})
        assert await one.fetch_row("select 1 as one", {}) == {"one": 1}


async def test_a_column_without_a_loader_is_named(database_url: str) -> None:
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        with pytest.raises(TypeError, match="share: no loader"):
            await one.fetch_row("select 0.5 as share", {})


async def test_server_error_is_psycopgs_and_the_connection_goes_on(
    database_url: str,
) -> None:
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await one.fetch_row("select 1 / %(by)s::int4 as share", {"by": 0})
        with pytest.raises(psycopg.errors.UndefinedTable):
            await one.fetch_row("select * from nowhere", {})
        assert await one.fetch_row("select 1 / %(by)s::int4 as share", {"by": 1}) == {"share": 1}


@pytest.mark.parametrize("several", [False, True])
async def test_connection_that_breaks_says_so_and_is_replaced(
    database_url: str, several: bool
) -> None:
    async with _two_pools(database_url) as (pool, other):
        async with pool.connection() as one:
            requested = await _asleep(one, other, several=several)
            await other.execute("select pg_terminate_backend(%s)", [one.info.backend_pid])
            with pytest.raises(psycopg.OperationalError):
                await requested
        async with pool.connection() as two:
            assert await two.fetch_row("select 1 as one", {}) == {"one": 1}


@pytest.mark.parametrize("how", ["fetch_row", "fetch_pipelined", "execute", "commit"])
async def test_idle_transaction_is_lost_as_in_an_outage(database_url: str, how: str) -> None:
    async def write(pool: Pool) -> None:
        async with pool.connection() as one, one.transaction():
            await one.execute("set local idle_in_transaction_session_timeout = '200ms'")
            await one.execute("create table undone (number int)")
            await asyncio.sleep(0.5)
            if how == "execute":
                await one.execute("select 1")
            elif how == "fetch_row":
                await one.fetch_row("select 1 as one", {})
            elif how == "fetch_pipelined":
                await one.fetch_pipelined([("select 1 as one", {}), ("select 2 as two", {})])

    async with open_pool(database_url, name="test", size=1) as pool:
        with pytest.raises(psycopg.OperationalError):
            await write(pool)
        async with pool.connection() as two:
            found = await two.fetch_row("select to_regclass('undone')::text as found", {})
            assert found == {"found": None}


@pytest.mark.parametrize("several", [False, True])
async def test_cancelled_it_ends_at_the_server_and_the_pool_goes_on(
    database_url: str, several: bool
) -> None:
    async with _two_pools(database_url) as (pool, other):
        async with pool.connection() as one:
            pid = one.info.backend_pid
            requested = await _asleep(one, other, several=several)
            requested.cancel()
            with pytest.raises(asyncio.CancelledError):
                await requested
        await _until(other, pid, asleep=False)
        async with pool.connection() as two:
            assert await two.fetch_row("select 1 as one", {}) == {"one": 1}


async def test_cancelled_while_it_was_prepared_it_is_prepared_anew(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pool(database_url, name="test", size=1) as pool, pool.connection() as one:
        result = one._result

        async def cancelled() -> Any:
            await result()
            raise asyncio.CancelledError

        with monkeypatch.context() as patched:
            patched.setattr(one, "_result", cancelled)
            with pytest.raises(asyncio.CancelledError):
                await one.fetch_row("select 1 as one", {})
        assert await one.fetch_row("select 1 as one", {}) == {"one": 1}
        assert await one.fetch_row("select 2 as two", {}) == {"two": 2}


@asynccontextmanager
async def _two_pools(database_url: str) -> AsyncIterator[tuple[Pool, Connection]]:
    """A pool of one connection, and a connection of another."""
    async with (
        open_pool(database_url, name="test", size=1) as pool,
        open_pool(database_url, name="other", size=1) as others,
        others.connection() as other,
    ):
        yield pool, other


async def _asleep(
    connection: Connection, other: Connection, *, several: bool
) -> asyncio.Future[Any]:
    """A statement that the server is at, alone or before another; it would take 14 s."""
    text, values = "select 1 as one from pg_sleep(%(seconds)s::int4)", {"seconds": 14}
    if several:
        both = connection.fetch_pipelined([(text, values), ("select 1 as one", {})])
        requested: asyncio.Future[Any] = asyncio.ensure_future(both)
    else:
        requested = asyncio.ensure_future(connection.fetch_row(text, values))
    await _until(other, connection.info.backend_pid, asleep=True)
    return requested


async def _until(other: Connection, pid: int, *, asleep: bool) -> None:
    text = (
        "select count(*) = 1 as asleep from pg_stat_activity "
        "where pid = %(pid)s and wait_event = 'PgSleep'"
    )
    async with asyncio.timeout(10):
        while (await other.fetch_row(text, {"pid": pid}) or {}).get("asleep") is not asleep:  # noqa: ASYNC110 - the server is waited for
            await asyncio.sleep(0.01)


async def test_an_error_of_the_commit_itself_is_one(database_url: str) -> None:
    """Statements without a transaction of their own commit when the last one is over."""
    async with open_pool(database_url, name="test", size=1, prompt=True) as pool:
        async with pool.connection() as one:
            await one.execute("create table late (number int)")
            await one.execute(
                "create function refuse_late() returns trigger language plpgsql"
                " as $$ begin raise exception 'refused at the commit'; end $$"
            )
            await one.execute(
                "create constraint trigger late after insert on late deferrable initially deferred"
                " for each row execute function refuse_late()"
            )
        try:
            async with pool.connection() as one:
                insert = "insert into late values (1) returning number"
                with pytest.raises(psycopg.Error, match="refused at the commit"):
                    await one.fetch_pipelined([(insert, {}), (insert, {})])
            async with pool.connection() as one:
                assert await one.fetch_rows("select number from late", {}) == []
        finally:
            async with pool.connection() as one:
                await one.execute("drop table late; drop function refuse_late")
