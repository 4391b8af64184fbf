"""Test who is served: holders, triggers, askers, slow readers, named readers; and settings."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
import redis.asyncio as redis

from tests.bookfeed.world import ASSETS, Marks, bookfeed, get, matches, pin, watched
from tests.ingest.harness import Process, running, until
from tradingtools.domain import money
from tradingtools.storage.redis.mark_board import PREFIX
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import common_pb2
from tradingtools.v1.bookfeed_service_pb2_grpc import BookfeedServiceStub


async def test_held_assets_and_live_triggers_are_watched(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    held, guarded = ASSETS[4], ASSETS[5]
    marks = Marks()
    async with (
        bookfeed(environ, tmp_path, linger_ms="100") as (stub, replay, _),
        marks.reading(stub),
    ):
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros)"
                " values ('0x', %s, 'manual', '0x', 5)",
                (held,),
            )
            connection.execute(
                "insert into trigger (id, follower_proxy, condition_id, asset_id, origin,"
                " trigger_type, price_micros, status, follower_wallet_id)"
                " values (%s, '0x', '0x', %s, 'manual', 'STOP_LOSS', 5, 'ARMED', 'w')",
                (f"trg_{1:032x}", guarded),
            )
        for asset in (held, guarded):
            await marks.where(asset, status=pb.BOOK_STATUS_FRESH)
        with psycopg.connect(database_url) as connection:
            connection.execute("update lot set shares_micros = 0")
            connection.execute("update trigger set status = 'DONE'")
        await until(lambda: watched(replay, 0))


async def test_an_asset_is_let_go_when_nobody_wants_it_any_more(
    environ: dict[str, str], tmp_path: Path
) -> None:
    async with bookfeed(environ, tmp_path, linger_ms="300") as (stub, replay, _):

        async def wanted_and_watched() -> bool:
            # Asked for again: what lingers may be gone before a busy machine has looked.
            await get(stub, ASSETS[6])
            return await watched(replay, 1)

        await until(wanted_and_watched)
        await until(lambda: watched(replay, 0))


async def test_a_slow_reader_gets_the_newest_mark_and_no_backlog(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[7]
    fast = Marks()
    async with bookfeed(environ, tmp_path) as (stub, replay, process), fast.reading(stub, asset):
        await fast.where(asset, status=pb.BOOK_STATUS_FRESH)
        # A window of the least size: what is not read is soon not written either.
        options = [("grpc.http2.lookahead_bytes", 0), ("grpc.http2.bdp_probe", 0)]
        async with grpc.aio.insecure_channel(process.target, options=options) as channel:
            slow = BookfeedServiceStub(channel).StreamMarks(
                pb.StreamMarksRequest(asset_ids=[asset])
            )
            first: Any = await slow.read()
            assert first.marks[0].asset_id == asset
            for number in range(300):
                bid = 100_000 + 10_000 * (number % 50)
                await pin(
                    replay, asset, best_bid=money.to_text(bid),
                    best_ask=money.to_text(bid + 10_000),
                )  # fmt: skip
            await pin(replay, asset, best_bid="0.77", best_ask="0.78")
            newest = await fast.where(asset, best_bid=770_000)
            read, mark = 0, first.marks[0]
            while mark.revision < newest.revision:
                response: Any = await asyncio.wait_for(slow.read(), 60)
                read += len(response.marks)
                mark = response.marks[-1] if response.marks else mark
            assert mark.bid_prices_micros[0] == 770_000
            assert read < fast.count


async def test_marks_are_on_the_board_in_redis_while_they_are_watched(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset = ASSETS[7]
    async with (
        bookfeed(
            environ, tmp_path, linger_ms="2000", board_pause_ms="10", board_stands_ms="600"
        ) as (stub, replay, _),
        aclosing(redis.Redis.from_url(environ["TT_REDIS_URL"])) as client,
    ):

        async def shown() -> pb.Mark | None:
            written = await client.get(f"{PREFIX}{asset}")
            return pb.Mark.FromString(written) if isinstance(written, bytes) else None

        async def desired() -> pb.Mark | None:
            # Who asks keeps it watched, however long a busy machine takes for all this.
            await get(stub, asset)
            return await shown()

        # It is written again, though nothing moves: twice as long as it stands.
        for _ in range(2):
            assert await until(desired) is not None
            await asyncio.sleep(0.6)
        await pin(replay, asset, best_bid="0.31", best_ask="0.33")

        async def moved() -> bool:
            mark = await desired()
            return mark is not None and matches(mark, {"best_bid": 310_000, "best_ask": 330_000})

        await until(moved)

        async def gone() -> bool:
            return await shown() is None

        await until(gone)


async def test_only_named_readers_are_remembered_and_only_forward(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    marks = Marks()
    async with bookfeed(environ, tmp_path) as (stub, _, _), marks.reading(stub, ASSETS[0]):
        await marks.where(ASSETS[0], status=pb.BOOK_STATUS_FRESH)
        life, _, number = marks.cursor.partition("-")
        assert progress(database_url) == {}
        for cursor in (f"{life}-{number}", f"{life}-0"):
            await stub.Acknowledge(common_pb2.AcknowledgeRequest(consumer="guard", cursor=cursor))
        assert progress(database_url) == {"guard": f"{life}-{number}"}
        other = "f" * 8 if life != "f" * 8 else "0" * 8
        for cursor, code in (
            ("x", grpc.StatusCode.INVALID_ARGUMENT),
            (f"{life}-{10**17}", grpc.StatusCode.INVALID_ARGUMENT),
            (f"{other}-1", grpc.StatusCode.OUT_OF_RANGE),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Acknowledge(
                    common_pb2.AcknowledgeRequest(consumer="guard", cursor=cursor)
                )
            assert caught.value.code() is code, cursor
        assert progress(database_url) == {"guard": f"{life}-{number}"}


def progress(database_url: str) -> dict[str, str]:
    with psycopg.connect(database_url) as connection:
        return dict(
            connection.execute(
                "select consumer, cursor from consumer_cursor where stream = 'marks'"
            ).fetchall()
        )


async def test_a_venue_that_does_not_answer_is_unavailable(
    environ: dict[str, str], tmp_path: Path
) -> None:
    nobody = {
        **environ,
        "TT_BOOKFEED_CLOB_WS_URL": "ws://127.0.0.1:1/",
        "TT_BOOKFEED_CLOB_URL": "http://127.0.0.1:1",
        "TT_BOOKFEED_GAMMA_URL": "http://127.0.0.1:1",
    }
    async with (
        running("bookfeed", nobody, tmp_path) as process,
        grpc.aio.insecure_channel(process.target) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get(BookfeedServiceStub(channel), ASSETS[0])
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert process.running


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TT_REDIS_URL", ""),
        ("TT_BOOKFEED_CLOB_WS_URL", "http://x"),
        ("TT_BOOKFEED_GAMMA_URL", "x"),
        ("TT_BOOKFEED_SHARD", "501"),
        ("TT_BOOKFEED_SHARDS", "3"),
    ],
)
async def test_a_wrong_setting_is_one_line_that_names_it(
    environ: dict[str, str], tmp_path: Path, name: str, value: str
) -> None:
    process = Process("services.bookfeed", {**environ, name: value}, tmp_path / "log", 0)
    await process.start()
    assert await process.wait() == 2
    (line,) = process.log.read_text().splitlines()
    assert line.startswith(f"bookfeed: {name}: ")
