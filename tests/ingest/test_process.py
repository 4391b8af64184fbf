"""The real process on real stores: nothing is lost, nothing is counted twice, nothing stops it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from paper.venue import tape
from tests.ingest.fake import fake_venue, frame
from tests.ingest.harness import running, until, until_health, venue
from tests.ingest.world import (
    LEADER,
    Tail,
    connected,
    follow,
    followed,
    played,
    pointing_at,
    ready,
    rejected,
    replayed,
    row,
)
from tradingtools.v1 import ingest_service_pb2


async def test_every_trade_is_published_once_over_garbage_and_kills(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    leaders = sorted({one.trade.wallet for one in tape.load(None)[0]})
    follow(database_url, *leaders)
    tail = Tail()
    async with venue(tmp_path / "venue", mean_gap_ms="25", firehose_per_second="100") as replay:
        at = {**environ, **replayed(replay), "TT_INGEST_SILENCE_MS": "700"}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await replay.notify("/start")

            async def some() -> bool:
                return len(tail.events) >= 20

            await until(some)
            for garbage in ("{", "7", '{"topic":"x","type":"y","payload":{}}', "", "NaN"):
                await replay.notify("/garbage", {"frame": garbage})

            async def refused() -> bool:
                return {"not_json", "malformed", "unknown_topic"} <= rejected(database_url).keys()

            # What a connection has not delivered when it is dropped, nobody reads.
            await until(refused)
            await replay.notify("/drop", {"feed": "rtds", "abort": True})
            before = len(tail.events)

            async def more() -> bool:
                return len(tail.events) >= before + 40

            await until(more)
            # Pings are answered meanwhile, and what is not told now is never told again.
            await replay.notify("/stall", {"feed": "rtds", "seconds": 1.5})
            before = len(tail.events)
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
            await replay.notify("/pause")

            async def everything() -> bool:
                truth = await played(replay, leaders)
                return len(truth) > 80 and tail.totals() == truth

            await until(everything)
    sources = {event.source for event in tail.events}
    assert sources == {
        ingest_service_pb2.TRADE_SOURCE_FEED,
        ingest_service_pb2.TRADE_SOURCE_CATCH_UP,
    }


async def test_two_sockets_are_one_fact_and_real_repeats_count(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.positions[LEADER] = [{"token_id": "7", "current_size": 100}]
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
    reported = [
        (event.leader_tx[-1], event.count) for event in tail.events if event.leader_tx[-2] != "f"
    ]
    assert reported == [("1", 1), ("2", 1), ("2", 2), ("3", 1)]
    held = [event.leader_held_before_micros for event in tail.events if event.leader_tx[-2] != "f"]
    assert [micros // 10**6 for micros in held] == [100, 110, 110, 90]
    traces = {(e.leader_tx[-1], e.traceparent) for e in tail.events if e.leader_tx[-1] == "2"}
    assert len({trace.split("-")[1] for _, trace in traces}) == 1, "one trace a leader trade"


async def test_frame_of_fifty_megabytes_costs_its_connection_alone(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    tail = Tail()
    async with followed(environ, database_url, tmp_path, tail) as (fake, process):
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


async def test_silent_connection_is_dropped_and_caught_up(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    quick = {"TT_INGEST_SILENCE_MS": "400"}
    seldom = {"TT_INGEST_POLL_MS": "600000", "TT_INGEST_RECHECK_MS": "600000"}
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake), **quick, **seldom}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            await until(lambda: ready(tail, fake))
            fake.trades.append(row(1))
            found = await tail.of_tx(1)
            assert found[0].source == ingest_service_pb2.TRADE_SOURCE_CATCH_UP

            async def again() -> bool:
                return len(fake.subscriptions) > 4

            await until(again)
            process.kill(signal.SIGTERM)
            assert await process.wait() == 0


async def test_what_happened_before_a_connection_was_back_is_caught_up(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    seldom = {"TT_INGEST_POLL_MS": "600000", "TT_INGEST_RECHECK_MS": "600000"}
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake), **seldom}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            await until(lambda: ready(tail, fake))
            fake.lets_in.clear()
            requested, knocks = len(fake.requested), fake.knocks
            for socket in list(fake.sockets):
                await socket.close()

            async def waits() -> bool:
                return fake.knocks >= knocks + 2 and len(fake.requested) > requested

            await until(waits)
            # The survey of the loss is over, and another gap is one of its own.
            await asyncio.sleep(1.5)
            fake.trades.append(row(1))
            fake.lets_in.set()
            await tail.of_tx(1)


async def test_first_rows_wait_for_the_leaders_holdings(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.positions[LEADER] = [{"token_id": "7", "current_size": 100}]
        fake.greeting = frame(row(1, side="SELL"))
        fake.answer_seconds = 0.2
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            (event,) = await tail.of_tx(1)
    assert event.leader_held_before_micros == 100_000_000


@pytest.mark.parametrize("expected", ["SERVING", "NOT_SERVING"])
async def test_what_it_depends_on_is_told_by_name(
    environ: dict[str, str], tmp_path: Path, expected: str
) -> None:
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake)}
        if expected != "SERVING":
            at["TT_INGEST_RTDS_URL"] = "ws://127.0.0.1:1/rtds"
        async with running("ingest", at, tmp_path) as process:
            stores = {"postgresql": "SERVING", "redis": "SERVING"}
            await until_health(process.target, {**stores, "venue": expected})
