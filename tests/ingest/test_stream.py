"""Cursors, readers, the log in Redis and its incarnations, and settings."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
import redis

from tests.ingest.fake import fake_venue, frame
from tests.ingest.harness import Process, running, until
from tests.ingest.world import (
    LEADER,
    OTHER,
    Tail,
    connected,
    follow,
    followed,
    passed,
    pointing_at,
    ready,
    row,
)
from tradingtools.storage.redis.leader_log import INCARNATION, STREAM
from tradingtools.v1 import common_pb2, ingest_service_pb2, ingest_service_pb2_grpc
from tradingtools.v1.ingest_service_pb2 import LeaderTradeEvent


async def test_cursors_resume_and_only_named_readers_are_remembered(
    environ: dict[str, str], database_url: str, own_redis: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail("router-0")
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            for number in range(1, 6):
                await fake.send(frame(row(number)))
                await tail.of_tx(number)
                if number == 2:
                    second = tail.cursor
            async with grpc.aio.insecure_channel(process.target) as channel:
                stub = ingest_service_pb2_grpc.IngestServiceStub(channel)
                assert cursors(database_url) == {}
                for cursor in (tail.cursor, second):
                    await stub.Acknowledge(
                        common_pb2.AcknowledgeRequest(consumer="router-0", cursor=cursor)
                    )
                assert cursors(database_url) == {"router-0": tail.cursor}
                name, reported_ms, _ = tail.cursor.split("-")
                for forged in (f"{name}-{int(reported_ms) + 1}-0", f"{name}-{9 * 10**15}-0"):
                    with pytest.raises(grpc.aio.AioRpcError) as caught:
                        await stub.Acknowledge(
                            common_pb2.AcknowledgeRequest(consumer="router-0", cursor=forged)
                        )
                    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
                assert cursors(database_url) == {"router-0": tail.cursor}
                other = "f" * 16 + tail.cursor[16:]
                assert await refusal(stub, other) is grpc.StatusCode.OUT_OF_RANGE
                assert await refusal(stub, "yesterday") is grpc.StatusCode.INVALID_ARGUMENT
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await stub.Acknowledge(
                        common_pb2.AcknowledgeRequest(consumer="router-0", cursor=other)
                    )
                assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
            # It is written behind the telling, and its process ends here without a word.
            await until(lambda: written(own_redis, tail))
        # Another process, the same log: what was told before is read from Redis.
        async with running("ingest", {**environ, **pointing_at(fake)}, tmp_path) as process:
            late = Tail()
            late.cursor = second
            async with late.reading(process):
                await late.of_tx(5)
            assert [event.leader_tx[-1] for event in late.events] == ["3", "4", "5"]
            everything = Tail()
            async with everything.reading(process):
                await everything.of_tx(5)
            assert everything.events == tail.events


async def test_reader_ahead_of_the_clock_misses_nothing(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    tail = Tail()
    async with followed(environ, database_url, tmp_path, tail) as (fake, process):
        await fake.send(frame(row(1)))
        await tail.of_tx(1)
        # As a predecessor gave it whose clock was an hour ahead; it died before it wrote it.
        ahead = Tail()
        name, reported_ms, _ = tail.cursor.split("-")
        ahead.cursor = f"{name}-{int(reported_ms) + 3_600_000}-0"
        async with ahead.reading(process):
            await ahead.of_tx(1)
            await fake.send(frame(row(2)))
            await ahead.of_tx(2)
        assert [event.leader_tx[-1] for event in ahead.events] == ["1", "2"]


async def refusal(
    stub: ingest_service_pb2_grpc.IngestServiceAsyncStub, cursor: str
) -> grpc.StatusCode:
    request = ingest_service_pb2.StreamLeaderTradesRequest(cursor=cursor)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(stub.StreamLeaderTrades(request)))
    return caught.value.code()


def cursors(database_url: str) -> dict[str, str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select consumer, cursor from consumer_cursor where stream = 'leader_trades'"
        ).fetchall()
    return dict(rows)


async def test_flushed_log_ends_the_process_and_is_renamed(
    environ: dict[str, str], database_url: str, own_redis: str, tmp_path: Path
) -> None:
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process:
            first = identity(database_url)
            client = redis.Redis.from_url(own_redis)
            client.flushdb()
            client.close()
            assert await process.wait() == 1
        async with running("ingest", at, tmp_path):
            assert identity(database_url) != first


async def test_log_that_lost_its_newest_entries_is_republished(
    environ: dict[str, str], database_url: str, own_redis: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER, OTHER)
    client = redis.Redis.from_url(own_redis)
    tail, rows = Tail(), [row(1), row(2)]
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            await until(lambda: ready(tail, fake))
            # Whatever is written afterwards would hide what is lost: nothing may be under way.
            await passed(tail, fake, 0x10)
            for n, one in enumerate(rows, start=1):
                await fake.send(frame(one))
                await tail.of_tx(n)
            await until(lambda: written(own_redis, tail))
            newest: Any = client.xrevrange(STREAM, count=1)
            # As a replica has it that missed the last write, and that is promoted.
            client.xdel(STREAM, newest[0][0])
            assert await process.wait() == 1
        fake.trades += rows
        again = Tail()
        again.cursor = tail.cursor
        async with running("ingest", at, tmp_path) as process, again.reading(process):
            await again.of_tx(2)
    client.close()


async def test_what_nobody_of_ours_wrote_to_redis_stops_no_reader(
    environ: dict[str, str], database_url: str, own_redis: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    client = redis.Redis.from_url(own_redis)
    forged = LeaderTradeEvent(leader_tx="0x" + "ee" * 32, leader=LEADER, asset_id="7", count=1)
    for payload in (b"\xff\x00", b"\x0a\x01\xff", forged.SerializeToString()):
        client.xadd(STREAM, {"e": payload, "m": b"0" * 16})
    client.set(INCARNATION, b"\xff\x00")
    tail = Tail()
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            await fake.send(frame(row(1)))
            await tail.of_tx(1)
            assert [event.leader_tx[-1] for event in tail.events] == ["1"]
            said = process.log.read_text()
            assert "entries of the log in Redis are not ours" in said
            assert "alert=True" in said
            client.set(INCARNATION, b"\xff")
            assert await process.wait() == 1
    client.close()


async def test_foreign_entries_cost_neither_process_nor_trade(
    environ: dict[str, str], database_url: str, own_redis: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    client = redis.Redis.from_url(own_redis)
    last = f"{2**64 - 1}-{2**64 - 1}"
    client.xadd(STREAM, {"x": "y"}, id=f"5-{2**40}")
    client.xadd(STREAM, {"x": "y"}, id=last)
    tail = Tail()
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            for number, stranger in enumerate((None, last, "*", hours_ahead(1), last), start=1):
                if stranger is not None:
                    client.xadd(STREAM, {"x": "y"}, id=stranger)
                await fake.send(frame(row(number)))
                await tail.of_tx(number)
                await until(partial(newest_of, own_redis, number))
            assert process.running
            late = Tail()
            async with late.reading(process):
                await late.of_tx(5)
            assert process.running
        # The next life reads it from Redis alone.
        async with running("ingest", at, tmp_path) as process:
            late = Tail()
            async with late.reading(process):
                await late.of_tx(5)
    reported = [event.leader_tx[-1] for event in late.events if event.leader_tx]
    assert list(dict.fromkeys(reported)) == ["1", "2", "3", "4", "5"]
    client.close()


def hours_ahead(hours: int) -> str:
    return f"{time.time_ns() // 10**6 + hours * 3_600_000}-0"


async def newest_of(redis_url: str, number: int) -> bool:
    """Return whether the log's newest entry is of a transaction."""
    client = redis.Redis.from_url(redis_url)
    entries: Any = client.xrevrange(STREAM, count=1)
    client.close()
    return f"{number:064x}".encode() in entries[0][1].get(b"e", b"")


async def written(redis_url: str, tail: Tail) -> bool:
    """Return whether the log has all that a reader was told."""
    client = redis.Redis.from_url(redis_url)
    entries: Any = client.xrange(STREAM)
    client.close()
    return len(entries) == len(tail.events)


def identity(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "select value from store_identity where name = 'redis_incarnation'"
        ).fetchone()
    assert found is not None
    return str(found[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TT_DATABASE_URL", ""),
        ("TT_INGEST_RTDS_URL", "http://x"),
        ("TT_INGEST_DATA_API_URL", "x"),
        ("TT_INGEST_SILENCE_MS", "0"),
        ("TT_INGEST_SILENT_MS", "1000"),
    ],
)
async def test_a_wrong_setting_is_one_line_that_names_it(
    environ: dict[str, str], tmp_path: Path, name: str, value: str
) -> None:
    # The process's own, which goes before the shared one, must not stand in for it.
    own = {"TT_INGEST_DATABASE_URL": ""}
    process = Process("services.ingest", {**environ, **own, name: value}, tmp_path / "log", 0)
    await process.start()
    assert await process.wait() == 2
    (line,) = process.log.read_text().splitlines()
    assert line.startswith(f"ingest: {name}: ")
