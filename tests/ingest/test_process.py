"""The real process on real stores: nothing is lost, nothing is counted twice, nothing stops it."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psycopg
import pytest
import redis

from paper.venue import tape
from tests.ingest.fake import Fake, fake_venue, frame
from tests.ingest.harness import Process, Venue, running, until, venue
from tradingtools.v1 import common_pb2, ingest_service_pb2, ingest_service_pb2_grpc
from tradingtools.v1.ingest_service_pb2 import LeaderTradeEvent

LEADER = "0x" + "a1" * 20
Total = dict[tuple[str, str, str, int], int]


def follow(database_url: str, *leaders: str) -> None:
    """Subscribe a follower to each leader, as control does it."""
    with psycopg.connect(database_url) as connection:
        for leader in leaders:
            connection.execute(
                "insert into subscription (id, follower_user_id, follower_wallet_id,"
                " follower_proxy, leader, state, version, sizing_mode, sizing_micros, changed_seq)"
                " values (%s, 'u', 'w', %s, %s, 'ACTIVE', 1, 'FIXED', 1, 1)",
                (f"sub_{int(leader, 16) % 2**128:032x}", "0x" + "f0" * 20, leader),
            )
        connection.execute(
            "insert into control_change (actor, source, action, subject_kind, subject_id,"
            " previous_hash, hash) values ('t', 't', 't', 'subscription', 't', '', '')"
        )


@pytest.fixture
def own_redis(redis_url: str) -> str:
    """An empty database of the session's server."""
    url = redis_url.rsplit("/", 1)[0] + "/7"
    client = redis.Redis.from_url(url)
    client.flushdb()
    client.close()
    return url


@pytest.fixture
def environ(database_url: str, own_redis: str) -> dict[str, str]:
    return {
        "TT_DATABASE_URL": database_url,
        "TT_REDIS_URL": own_redis,
        "TT_INGEST_RECHECK_MS": "1500",
        "TT_INGEST_POLL_MS": "3000",
    }


def pointing_at(fake: Fake) -> dict[str, str]:
    return {
        "TT_INGEST_RTDS_URL": f"ws://{fake.url}/rtds",
        "TT_INGEST_DATA_API_URL": f"http://{fake.url}",
    }


def replayed(replay: Venue) -> dict[str, str]:
    return {
        "TT_INGEST_RTDS_URL": f"{replay.ws_url}/rtds",
        "TT_INGEST_DATA_API_URL": f"{replay.http_url}/data",
    }


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A row of the Data API that was traded just now."""
    return {
        "proxy_wallet": LEADER, "transaction_hash": f"0x{number:064x}", "asset": "7",
        "condition_id": "0x" + "cd" * 32, "side": "BUY", "price": 0.5, "size": 10,
        "timestamp": time.time_ns() // 10**9, **changes,
    }  # fmt: skip


class Tail:
    """A reader that remembers what it was told and where it stands."""

    def __init__(self) -> None:
        self.events: list[LeaderTradeEvent] = []
        self.cursor = ""

    @asynccontextmanager
    async def reading(self, process: Process) -> AsyncIterator[None]:
        """Follow from the last cursor on for the length of the block."""
        task = asyncio.create_task(self._read(process))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _read(self, process: Process) -> None:
        async with grpc.aio.insecure_channel(process.target) as channel:
            stub = ingest_service_pb2_grpc.IngestServiceStub(channel)
            request = ingest_service_pb2.StreamLeaderTradesRequest(cursor=self.cursor)
            async for response in stub.StreamLeaderTrades(request):
                self.events += response.trades
                self.cursor = response.cursor

    async def of_tx(self, number: int, count: int = 1) -> list[LeaderTradeEvent]:
        """Events of a transaction, once there are enough."""

        async def look() -> list[LeaderTradeEvent]:
            found = [e for e in self.events if e.leader_tx == f"0x{number:064x}"]
            return found if len(found) >= count else []

        return await until(look)

    def totals(self) -> Total:
        """Shares by (tx, leader, asset, side): of feed and catch-up the greater total."""
        counts: dict[tuple[Any, ...], int] = {}
        for e in self.events:
            key = (e.leader_tx, e.leader, e.asset_id, e.side, e.source, e.price_text, e.size_micros)
            counts[key] = max(counts.get(key, 0), e.count)
        by_source: Counter[tuple[Any, ...]] = Counter()
        for key, count in counts.items():
            by_source[key[:5]] += key[6] * count
        found: Total = {}
        for key, total in by_source.items():
            found[key[:4]] = max(found.get(key[:4], 0), total)
        return found


def rejected(database_url: str) -> dict[str, int]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select reason, count(*) from rejected_frame group by reason"
        ).fetchall()
    return dict(rows)


async def played(replay: Venue, leaders: Iterable[str]) -> Total:
    """The truth: what the venue's Data API shows of the leaders."""
    totals: Counter[tuple[str, str, str, int]] = Counter()
    sides = {"BUY": common_pb2.SIDE_BUY, "SELL": common_pb2.SIDE_SELL}
    async with httpx.AsyncClient(base_url=replay.http_url) as http:
        for leader in leaders:
            params = {"user": leader, "limit": "10000", "takerOnly": "false"}
            answer = await http.get("/data/trades", params=params)
            for one in json.loads(answer.text, parse_float=str, parse_int=str):
                key = (one["transactionHash"], leader, one["asset"], int(sides[one["side"]]))
                whole, _, part = one["size"].partition(".")
                totals[key] += int(whole) * 10**6 + int(part.ljust(6, "0") or 0)
    return dict(totals)


async def test_over_garbage_drops_and_a_kill_every_trade_is_told_and_none_twice(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    leaders = sorted({one.trade.wallet for one in tape.load(None)[0]})
    follow(database_url, *leaders)
    tail = Tail()
    async with venue(tmp_path / "venue", mean_gap_ms="25", firehose_per_second="100") as replay:
        at = {**environ, **replayed(replay)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await replay.tell("/start")

            async def some() -> bool:
                return len(tail.events) >= 20

            await until(some)
            for garbage in ("{", "7", '{"topic":"x","type":"y","payload":{}}', "", "NaN"):
                await replay.tell("/garbage", {"frame": garbage})
            await replay.tell("/drop", {"feed": "rtds", "abort": True})
            before = len(tail.events)

            async def more() -> bool:
                return len(tail.events) >= before + 40

            await until(more)
            process.kill()
            await process.wait()
        # Trades go on while nobody looks.
        gone = (await replay.ask("/state"))["transactions_played"]

        async def missed() -> bool:
            state = await replay.ask("/state")
            return bool(state["transactions_played"] >= gone + 20)

        await until(missed)
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            before = len(tail.events)
            await until(more)
            await replay.tell("/pause")

            async def everything() -> bool:
                truth = await played(replay, leaders)
                return len(truth) > 80 and tail.totals() == truth

            await until(everything)
    sources = {event.source for event in tail.events}
    assert sources == {
        ingest_service_pb2.TRADE_SOURCE_FEED,
        ingest_service_pb2.TRADE_SOURCE_CATCH_UP,
    }
    assert {"not_json", "malformed", "unknown_topic"} <= rejected(database_url).keys()


async def test_two_sockets_and_two_topics_are_one_fact_and_real_repeats_count(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.positions[LEADER] = [{"asset": "7", "size": 100}]
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            assert fake.subscriptions[0] == {
                "action": "subscribe",
                "subscriptions": [
                    {"topic": "activity", "type": "trades"},
                    {"topic": "activity", "type": "orders_matched"},
                ],
            }
            await until(lambda: ready(tail, fake))
            once, twice = row(1), row(2, side="SELL")
            for one, kind in ((once, "trades"), (once, "orders_matched"), (twice, "trades")):
                await fake.send(frame(one, kind=kind))
            await fake.send(frame(twice), 0)
            await fake.send(frame(row(3)), 0)
            await tail.of_tx(3)
    told = [
        (event.leader_tx[-1], event.count) for event in tail.events if event.leader_tx[-2] != "f"
    ]
    assert told == [("1", 1), ("2", 1), ("2", 2), ("3", 1)]
    held = [event.leader_held_before_micros for event in tail.events if event.leader_tx[-2] != "f"]
    assert [micros // 10**6 for micros in held] == [100, 110, 110, 90]
    traces = {(e.leader_tx[-1], e.traceparent) for e in tail.events if e.leader_tx[-1] == "2"}
    assert len({trace.split("-")[1] for _, trace in traces}) == 1, "one trace a leader trade"


async def connected(fake: Fake, sockets: int) -> bool:
    return len(fake.sockets) >= sockets


async def ready(tail: Tail, fake: Fake) -> bool:
    """Whether a row comes with a baseline; each look sends another one, of another asset."""
    number = 0xF0 + len(tail.events)
    await fake.send(frame(row(number, asset="999")), 0)
    await asyncio.sleep(0.05)
    return any(event.HasField("leader_held_before_micros") for event in tail.events)


async def test_a_frame_of_fifty_megabytes_costs_a_connection_and_nothing_else(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            old = list(fake.sockets)
            big = "x" * (50 * 1024 * 1024)
            await asyncio.gather(*(socket.send_str(big) for socket in old), return_exceptions=True)

            async def renewed() -> bool:
                return len(set(fake.sockets) - set(old)) == 2

            await until(renewed)
            await fake.send(frame(row(1)))
            await tail.of_tx(1)
            assert process.running

    assert rejected(database_url)["oversized"] >= 1


async def test_a_silent_connection_is_dropped_and_what_it_missed_is_caught_up(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    quick = {"TT_INGEST_SILENCE_MS": "400", "TT_INGEST_POLL_MS": "600000"}
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake), **quick}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            fake.trades.append(row(1))
            found = await tail.of_tx(1)
            assert found[0].source == ingest_service_pb2.TRADE_SOURCE_CATCH_UP

            async def again() -> bool:
                return len(fake.subscriptions) > 4

            await until(again)
            process.kill(signal.SIGTERM)
            assert await process.wait() == 0


async def test_the_first_rows_wait_until_it_is_known_what_the_leader_holds(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.positions[LEADER] = [{"asset": "7", "size": 100}]
        fake.greeting = frame(row(1, side="SELL"))
        fake.answer_seconds = 0.2
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            (event,) = await tail.of_tx(1)
    assert event.leader_held_before_micros == 100_000_000


async def test_rows_of_one_second_all_survive_and_old_ones_are_left_alone(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    now = time.time_ns() // 10**9
    async with fake_venue() as fake:
        fake.trades += [row(n, timestamp=now - 10) for n in (1, 2, 3)] + [
            row(3, timestamp=now - 10)
        ]
        fake.trades.append(row(9, timestamp=now - 3_600))
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await tail.of_tx(1)
    assert {(e.leader_tx[-1], e.count) for e in tail.events} == {("1", 1), ("2", 1), ("3", 2)}


async def test_after_a_restart_catch_up_begins_at_the_newest_known_trade(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    now = time.time_ns() // 10**9
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into leader_row (leader_tx, leader, asset_id, side, price_text, size_micros,"
            " source, count, price_micros, condition_id, traded_ms)"
            " values ('0x0', %s, '7', 'BUY', '0.5', 1, 'FEED', 1, 500000, '0x0', %s)",
            (LEADER, (now - 3_000) * 1000),
        )
    tail = Tail()
    async with fake_venue() as fake:
        fake.trades += [row(1, timestamp=now - 2_900), row(2, timestamp=now - 9_000)]
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await tail.of_tx(1)
    assert {event.leader_tx[-1] for event in tail.events} == {"1"}


async def test_a_leader_followed_while_it_runs_is_heard_and_a_left_one_is_not(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    tail = Tail()
    async with fake_venue() as fake:
        fake.positions[LEADER] = [{"asset": "7", "size": 3}]
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            await fake.send(frame(row(1)))
            follow(database_url, LEADER)
            await until(lambda: ready(tail, fake))
            await fake.send(frame(row(2)))
            assert (await tail.of_tx(2))[0].leader_held_before_micros == 3_000_000
            with psycopg.connect(database_url) as connection:
                connection.execute("update subscription set state = 'DELETED'")
                connection.execute(
                    "insert into control_change (actor, source, action, subject_kind,"
                    " subject_id, previous_hash, hash)"
                    " values ('t', 't', 't', 'subscription', 't', '', '')"
                )

            async def unheard() -> bool:
                before = len(tail.events)
                await fake.send(frame(row(0xF000 + before + fake.pings + time.time_ns() % 999)))
                await asyncio.sleep(0.2)
                return len(tail.events) == before

            await until(unheard)
    assert not [event for event in tail.events if event.leader_tx == f"0x{1:064x}"]


async def test_cursors_resume_and_only_named_readers_are_remembered(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
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
                other = "f" * 16 + tail.cursor[16:]
                assert await refusal(stub, other) is grpc.StatusCode.OUT_OF_RANGE
                assert await refusal(stub, "yesterday") is grpc.StatusCode.INVALID_ARGUMENT
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await stub.Acknowledge(
                        common_pb2.AcknowledgeRequest(consumer="router-0", cursor=other)
                    )
                assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
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


async def test_a_log_that_was_flushed_ends_the_process_and_the_next_life_has_another_name(
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
    process = Process("services.ingest", {**environ, name: value}, tmp_path / "log", 0)
    await process.start()
    assert await process.wait() == 2
    (line,) = process.log.read_text().splitlines()
    assert line.startswith(f"ingest: {name}: ")
