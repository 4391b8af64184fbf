"""Test whose trades are told, from when on, and what happens to who comes and goes."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import psycopg

from tests.ingest.fake import fake_venue, frame
from tests.ingest.harness import running, until
from tests.ingest.world import (
    LEADER,
    OTHER,
    Tail,
    connected,
    follow,
    passed,
    pointing_at,
    ready,
    row,
)


async def test_rows_of_one_second_all_survive(
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


async def test_a_row_of_a_wrong_time_hides_nothing_that_comes_after_it(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.trades.append(row(1, timestamp=time.time_ns() // 10**9 + 86_400))
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await tail.of_tx(1)
            fake.trades.append(row(2, side="SELL"))
            await tail.of_tx(2)


async def test_catch_up_after_a_restart_begins_at_the_newest_trade(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    now = time.time_ns() // 10**9
    known(database_url, "FEED", now - 3_000)
    tail = Tail()
    async with fake_venue() as fake:
        fake.trades += [row(1, timestamp=now - 2_900), row(2, timestamp=now - 9_000)]
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await tail.of_tx(1)
    assert {event.leader_tx[-1] for event in tail.events} == {"1"}


async def test_feed_trade_does_not_hide_an_outage_from_the_next_start(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    now = time.time_ns() // 10**9
    known(database_url, "CATCH_UP", now - 3_900)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into leader_account (leader, equity_micros, asked_at)"
            " values (%s, 1, to_timestamp(%s))",
            (LEADER, now - 3_600),
        )
    # The Data API refused after the outage, the feed went on, and ingest died.
    known(database_url, "FEED", now)
    tail = Tail()
    async with fake_venue() as fake:
        fake.trades += [row(1, side="SELL", timestamp=now - 1_800)]
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await tail.of_tx(1)


async def test_leader_dropped_before_his_survey_harms_nobody(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER, OTHER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.answers.clear()
        at = {**environ, **pointing_at(fake), "TT_INGEST_API_CONNECTIONS": "1"}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):

            async def requested() -> str:
                return fake.requested[0] if fake.requested else ""

            first = await until(requested)
            second = OTHER if first == LEADER else LEADER
            with psycopg.connect(database_url) as connection:
                connection.execute(
                    "update subscription set state = 'DELETED' where leader = %s", (second,)
                )
                connection.execute(
                    "insert into control_change (actor, source, action, subject_kind,"
                    " subject_id, previous_hash, hash)"
                    " values ('t', 't', 't', 'subscription', 't', '', '')"
                )

            async def left() -> bool:
                return process.log.read_text().count("leaders changed") == 2

            await until(left)
            fake.trades.append(row(1, proxy_wallet=first))
            fake.answers.set()
            await tail.of_tx(1)
            await until(lambda: connected(fake, 2))
            await fake.send(frame(row(2, proxy_wallet=first)))
            await tail.of_tx(2)
            assert process.running


def known(database_url: str, source: str, traded_s: int) -> None:
    """A trade that a router has written."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into leader_row (leader_tx, leader, asset_id, side, price_text, size_micros,"
            " source, count, price_micros, condition_id, traded_ms)"
            " values ('0x0', %s, '7', 'BUY', '0.5', 1, %s, 1, 500000, '0x0', %s)",
            (LEADER, source, traded_s * 1000),
        )


async def test_leader_added_while_running_is_followed_dropped_is_not(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, OTHER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.positions[LEADER] = [{"token_id": "7", "current_size": 3}]
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            await fake.send(frame(row(1)), 0)
            await passed(tail, fake, 0x10)
            follow(database_url, LEADER)
            await until(lambda: ready(tail, fake))
            await fake.send(frame(row(2)))
            assert (await tail.of_tx(2))[0].leader_held_before_micros == 3_000_000
            with psycopg.connect(database_url) as connection:
                connection.execute(
                    "update subscription set state = 'DELETED' where leader = %s", (LEADER,)
                )
                connection.execute(
                    "insert into control_change (actor, source, action, subject_kind,"
                    " subject_id, previous_hash, hash)"
                    " values ('t', 't', 't', 'subscription', 't', '', '')"
                )

            numbers = itertools.count(0x1000, 2)

            async def unheard() -> bool:
                number = next(numbers)
                await fake.send(frame(row(number)), 0)
                await passed(tail, fake, number + 1)
                return not [event for event in tail.events if event.leader_tx == f"0x{number:064x}"]

            await until(unheard)
    assert not [event for event in tail.events if event.leader_tx == f"0x{1:064x}"]
