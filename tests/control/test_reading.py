"""Reads that share a message answer each for itself, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import psycopg
import pytest
import uvloop
from psycopg.rows import dict_row

from services.control.reading import Reading, reading
from tradingtools.storage.postgres.direct import Connection, wired
from tradingtools.storage.postgres.lane import Lane, Said
from tradingtools.storage.postgres.pool import Pool, open_pool

_HELD = "select pg_advisory_lock_shared(7)::text, pg_advisory_unlock_shared(7)"
_WAITING = "select count(*) as n from pg_locks where locktype = 'advisory' and not granted"
_NUMBER = "select %(n)s::int4 as n, now()::text as began, pg_backend_pid() as pid"
_DIVIDED = "select 1 / %(n)s::int4 as n"
_SECONDS = 120.0


@asynccontextmanager
async def _reading(url: str) -> AsyncIterator[Reading]:
    async with (
        asyncio.timeout(_SECONDS),
        open_pool(url, name="test", size=3, prompt=True, planned_once=True) as pool,
    ):
        async with AsyncExitStack() as stack:
            for _ in range(pool.max_size):
                one = await stack.enter_async_context(pool.connection())
                # What is held up here may be so for longer than a read may take.
                await one.execute("set statement_timeout = 0")
        async with reading(pool) as reads:
            yield reads


@asynccontextmanager
async def _held_up(url: str, reads: Reading) -> AsyncIterator[None]:
    """While the block runs, reads are under way that do not end, on all lanes."""
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=dict_row
    ) as other:
        await other.execute("select pg_advisory_lock(7)")
        held = []
        for lanes in (1, 2):
            held.append(asyncio.ensure_future(reads.found(_HELD, {})))
            while (await (await other.execute(_WAITING)).fetchone()) != {"n": lanes}:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        yield
        await other.execute("select pg_advisory_unlock(7)")
        await asyncio.gather(*held)


async def test_what_arrives_meanwhile_leaves_together(database_url: str) -> None:
    async with _reading(database_url) as reads:
        async with _held_up(database_url, reads):
            asked = [asyncio.ensure_future(reads.found(_NUMBER, {"n": n})) for n in range(40)]
            await asyncio.sleep(0)
        rows = [row for found in await asyncio.gather(*asked) for row in found]
        assert [row["n"] for row in rows] == list(range(40))
        # What travels together is one transaction: 40 in messages of at most 16.
        assert len({(row["pid"], row["began"]) for row in rows}) == 3
        (alone,) = await reads.found(_NUMBER, {"n": 41})
        assert alone["n"] == 41


async def test_one_that_fails_fails_alone(database_url: str) -> None:
    async with _reading(database_url) as reads:
        async with _held_up(database_url, reads):
            asked = [
                asyncio.ensure_future(reads.found(_DIVIDED, {"n": n})) for n in (1, 0, 1, 0, 1)
            ]
            unknown = asyncio.ensure_future(reads.found("select 1 as n from nowhere", {}))
            wrong = asyncio.ensure_future(reads.found(_DIVIDED, {"n": "\x00"}))
            unread = asyncio.ensure_future(reads.found("select array[1, null]::int4[] as a", {}))
            left = asyncio.ensure_future(reads.found(_NUMBER, {"n": 1}))
            last = asyncio.ensure_future(reads.found(_NUMBER, {"n": 9}))
            await asyncio.sleep(0)
            left.cancel()
        said = await asyncio.gather(*asked, unknown, wrong, unread, return_exceptions=True)
        assert [said[0], said[2], said[4]] == [[{"n": 1}]] * 3
        assert [type(one) for one in (said[1], said[3])] == [psycopg.errors.DivisionByZero] * 2
        assert isinstance(said[5], psycopg.errors.UndefinedTable)
        assert isinstance(said[6], psycopg.DataError)
        assert isinstance(said[7], msgspec.DecodeError)
        assert (await last)[0]["n"] == 9
        assert await reads.found(_DIVIDED, {"n": 1}) == [{"n": 1}]


@pytest.mark.parametrize("at_once", [2, 40])
async def test_none_is_forgotten(database_url: str, at_once: int) -> None:
    """Also one that is asked for in the very turn in which the last answer came."""
    async with _reading(database_url) as reads:

        async def ask(number: int) -> None:
            for _ in range(30):
                assert (await reads.found(_NUMBER, {"n": number}))[0]["n"] == number

        await asyncio.gather(*map(ask, range(at_once)))


async def test_connections_that_broke_cost_no_answer(database_url: str) -> None:
    async with _reading(database_url) as reads:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
            await other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'tradingtools-test'"
            )
        asked = [reads.found(_NUMBER, {"n": n}) for n in range(20)]
        assert [found[0]["n"] for found in await asyncio.gather(*asked)] == list(range(20))


async def test_what_is_under_way_on_a_connection_that_breaks_is_asked_on_another(
    database_url: str,
) -> None:
    async with _reading(database_url) as reads:
        async with (
            _held_up(database_url, reads),
            await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
        ):
            behind = [asyncio.ensure_future(reads.found(_NUMBER, {"n": n})) for n in range(20)]
            await asyncio.sleep(0)
            ended = await other.execute(
                "select pg_terminate_backend(pid, 20000) from pg_locks"
                " where locktype = 'advisory' and objid = 7 and not granted"
            )
            assert await ended.fetchall() == [(True,)] * 2
            while (await (await other.execute(_WAITING)).fetchone()) != (2,):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert [found[0]["n"] for found in await asyncio.gather(*behind)] == list(range(20))


def test_an_end_that_comes_with_the_last_words_is_noticed(database_url: str) -> None:
    async def broken() -> tuple[int, int, int]:
        async with (
            _reading(database_url) as reads,
            await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
        ):
            (before,) = await reads.found(_NUMBER, {"n": 1})
            # What it has not read when it ends makes its end a reset.
            os.kill(before["pid"], signal.SIGSTOP)
            asked = asyncio.ensure_future(reads.found(_NUMBER, {"n": 2}))
            await asyncio.sleep(0.05)
            await other.execute("select pg_terminate_backend(%s)", [before["pid"]])
            os.kill(before["pid"], signal.SIGCONT)
            # A long turn of the loop: the words and the reset come together.
            time.sleep(0.3)  # noqa: ASYNC251
            async with asyncio.timeout(20):
                (row,) = await asked
            return row["n"], row["pid"], before["pid"]

    # As processes run.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        number, after, before = runner.run(broken())
    assert number == 2
    assert after != before


async def test_a_lane_whose_answer_is_not_understood_ends(database_url: str) -> None:
    told: asyncio.Future[psycopg.OperationalError] = asyncio.get_running_loop().create_future()

    def answered(_lane: Lane, _said: Sequence[Said]) -> None:
        raise LookupError("no such read")

    async with open_pool(database_url, name="test", size=1, prompt=True) as pool:
        connection = await pool.getconn()
        lane = Lane(connection, answered, lambda _lane, error: told.set_result(error))
        lane.send([wired("select 1 as n", {})])
        async with asyncio.timeout(_SECONDS):
            assert "not understood" in str(await told)
        lane.close()
        await pool.putconn(connection)


async def test_a_message_may_be_larger_than_what_the_kernel_takes_at_once(
    database_url: str,
) -> None:
    async with _reading(database_url) as reads:
        text = "select length(%(filler)s::text) as n"
        lengths = (30_000_000, 1, 5_000_000)
        asked = [reads.found(text, {"filler": "x" * length}) for length in lengths]
        found = await asyncio.gather(*asked)
        assert found == [[{"n": length}] for length in lengths]


async def test_the_connections_are_given_back_as_they_were(database_url: str) -> None:
    async with open_pool(database_url, name="test", size=2, prompt=True) as pool:
        async with reading(pool) as reads:
            await asyncio.gather(*(reads.found(_NUMBER, {"n": n}) for n in range(20)))
        stuck = "select pg_sleep(20)::text"
        async with reading(pool) as reads:
            left = asyncio.ensure_future(reads.found(stuck, {}))
            # By itself, on the other lane.
            await asyncio.sleep(0.01)
            assert (await reads.found(_NUMBER, {"n": 1}))[0]["n"] == 1
            left.cancel()
        for _ in range(4):
            async with pool.connection() as connection:
                found = await (await connection.execute("select 1 as n")).fetchall()
                assert found == [{"n": 1}]


async def _lends_all(pool: Pool) -> bool:
    """Whether no connection of it was forgotten."""
    lent = [await pool.getconn(20) for _ in range(pool.max_size)]
    for connection in lent:
        await pool.putconn(connection)
    return len(set(lent)) == pool.max_size


async def test_who_has_waited_for_too_long_is_not_asked_for_any_more(database_url: str) -> None:
    async with _reading(database_url) as reads:
        async with _held_up(database_url, reads):
            gone = [asyncio.ensure_future(reads.found(_NUMBER, {"n": n})) for n in range(20)]
            await asyncio.sleep(0)
            for one in reads._waiting:
                one.since -= 9
            here = asyncio.ensure_future(reads.found(_NUMBER, {"n": 20}))
            await asyncio.sleep(0)
        assert (await here)[0]["n"] == 20
        said = await asyncio.gather(*gone, return_exceptions=True)
        assert {type(one) for one in said} == {psycopg.OperationalError}


async def test_a_connection_that_can_be_no_lane_is_given_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = 5

    def lane(*arguments: Any) -> Lane:
        nonlocal broken
        if broken:
            broken -= 1
            raise psycopg.OperationalError("the connection is lost")
        return Lane(*arguments)

    monkeypatch.setattr("services.control.reading.Lane", lane)
    async with open_pool(database_url, name="test", size=2, prompt=True) as pool:
        async with reading(pool) as reads, asyncio.timeout(20):
            assert (await reads.found(_NUMBER, {"n": 1}))[0]["n"] == 1
        assert await _lends_all(pool)


async def test_a_lane_that_is_lost_while_they_are_closed_is_given_back_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pool(database_url, name="test", size=2, prompt=True) as pool:
        async with reading(pool) as reads:
            await asyncio.gather(*(reads.found(_NUMBER, {"n": n}) for n in range(20)))
            lanes = list(reads._free)
            assert len(lanes) == 2
            putconn, given_back = pool.putconn, []

            async def lose_the_other(connection: Connection) -> None:
                given_back.append(connection)
                lanes[-1]._end(psycopg.OperationalError("the connection is lost"))
                if connection is lanes[0].connection:
                    await asyncio.sleep(0.01)
                await putconn(connection)

            monkeypatch.setattr(pool, "putconn", lose_the_other)
        assert given_back == [lane.connection for lane in lanes]


async def test_a_lane_that_comes_while_they_are_closed_is_closed_with_them(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pool(database_url, name="test", size=2, prompt=True) as pool:
        getconn, may_come = pool.getconn, asyncio.Event()

        async def later(seconds: float) -> Connection:
            await may_come.wait()
            await asyncio.sleep(0.05)
            return await getconn(seconds)

        monkeypatch.setattr(pool, "getconn", later)
        async with reading(pool) as reads:
            asked = [asyncio.ensure_future(reads.found(_NUMBER, {"n": n})) for n in range(40)]
            await asyncio.sleep(0.01)
            asyncio.get_running_loop().call_later(0.01, may_come.set)
        for one in asked:
            one.cancel()
        while reads._tasks:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        monkeypatch.setattr(pool, "getconn", getconn)
        assert await _lends_all(pool)


async def test_a_connection_that_cannot_be_left_as_it_was_ends(database_url: str) -> None:
    async with open_pool(database_url, name="test", size=1, prompt=True) as pool:
        connection = await pool.getconn()
        lane = Lane(connection, lambda _lane, _said: None, lambda _lane, _error: None)
        # What nobody here knows of is under way on it.
        connection.pgconn.send_query_params(b"select 1", None)
        lane.close()
        await pool.putconn(connection)
        assert await _lends_all(pool)


_STUCK = "select pg_advisory_lock_shared(8)::text, pg_advisory_unlock_shared(8)"
_STUCK_AT = (
    "select pid from pg_locks where locktype = 'advisory' and objid = 8 and not granted limit 1"
)


async def test_one_that_takes_too_long_is_not_asked_twice_and_keeps_nobody_else(
    database_url: str,
) -> None:
    """Cancelled as by statement_timeout; what stood behind it is answered all the same."""
    async with (
        _reading(database_url) as reads,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
    ):
        await other.execute("select pg_advisory_lock(8)")
        async with _held_up(database_url, reads):
            before = asyncio.ensure_future(reads.found(_NUMBER, {"n": 1}))
            stuck = asyncio.ensure_future(reads.found(_STUCK, {}))
            behind = [asyncio.ensure_future(reads.found(_NUMBER, {"n": n})) for n in (2, 3)]
            await asyncio.sleep(0)
        while (held := await (await other.execute(_STUCK_AT)).fetchone()) is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        await other.execute("select pg_cancel_backend(%s)", held)
        # Asked twice, it would wait for ever.
        with pytest.raises(psycopg.errors.QueryCanceled):
            await stuck
        rows = [row for found in await asyncio.gather(before, *behind) for row in found]
        assert [row["n"] for row in rows] == [1, 2, 3]


@pytest.mark.parametrize("at_once", [1, 3])
async def test_a_lost_plan_costs_no_answer(database_url: str, at_once: int) -> None:
    """The table has another column by now: the server refuses to go on with the old plan."""
    async with (
        _reading(database_url) as reads,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
    ):
        await other.execute("create table changing (n int4)")
        await other.execute("insert into changing values (1)")

        async def ask() -> list[list[dict[str, object]]]:
            asked = [reads.found("select * from changing", {}) for _ in range(at_once)]
            return await asyncio.gather(*asked)

        # All connections of the pool.
        for _ in range(6):
            assert await ask() == [[{"n": 1}]] * at_once
        await other.execute("alter table changing add column m int4")
        for _ in range(6):
            assert await ask() == [[{"n": 1, "m": None}]] * at_once
