"""The log of leader trades on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import redis.asyncio as redis
from redis.exceptions import OutOfMemoryError

from services.ingest.core.sequence import HIGHEST
from tradingtools.storage.redis.leader_log import INCARNATION, STREAM, LeaderLog, StaleWrite


@pytest.fixture
async def client(own_redis: str) -> AsyncIterator[redis.Redis]:
    client = redis.Redis.from_url(own_redis)
    yield client
    await client.aclose()


async def test_entries_are_read_in_order_and_written_once(client: redis.Redis) -> None:
    log = LeaderLog(client, length=1_000, key=b"ours")
    assert await log.last() == "0-0"
    entries = [(f"5-{number}", bytes([number])) for number in range(5)]
    await log.append(entries[:3])
    await log.append(entries)  # a retry after an answer that was lost
    assert await log.last() == "5-4"
    assert await log.load("0-0", 10) == entries
    assert await log.load("5-1", 2) == entries[2:4]
    assert await log.load("5-4", 2) == []


async def test_entry_refused_in_the_middle_is_written_in_the_end(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, short = client.pipeline, True

    def pipeline(**options: Any) -> Any:
        made = plain(**options)
        xadd, number = made.xadd, 0

        def meddled(*args: Any, **kwargs: Any) -> Any:
            nonlocal number
            number += 1
            if short and number == 2:
                made.config_set("maxmemory", 1)
            added = xadd(*args, **kwargs)
            if short and number == 2:
                made.config_set("maxmemory", 0)
            return added

        monkeypatch.setattr(made, "xadd", meddled)
        return made

    monkeypatch.setattr(client, "pipeline", pipeline)
    log = LeaderLog(client, length=1_000, key=b"ours")
    entries = [(f"5-{number}", bytes([number])) for number in range(3)]
    try:
        with suppress(OutOfMemoryError):
            await log.append(entries)
    finally:
        await client.config_set("maxmemory", 0)
    short = False
    await log.append(entries)
    assert await log.load("0-0", 10) == entries


async def test_nothing_is_written_while_there_is_no_memory(client: redis.Redis) -> None:
    log = LeaderLog(client, length=1_000, key=b"ours")
    await client.config_set("maxmemory", 1)
    try:
        with pytest.raises(OutOfMemoryError):
            await log.append([("5-0", b"a"), ("5-1", b"b")])
    finally:
        await client.config_set("maxmemory", 0)
    assert await log.load("0-0", 10) == []


@pytest.mark.parametrize("stranger", ["5-1", "5-2", "6-0", f"{2**64 - 1}-{2**64 - 1}"])
async def test_an_entry_of_somebody_else_does_not_pass_for_ours(
    client: redis.Redis, stranger: str
) -> None:
    log = LeaderLog(client, length=1_000, key=b"ours")
    entries = [("5-0", b"a"), ("5-1", b"b")]
    await log.append(entries[:1])
    await client.xadd(STREAM, {"e": b"?"}, id=stranger)
    with pytest.raises(StaleWrite):
        await log.append(entries)
    await log.append(entries[:1])  # it is there


@pytest.mark.parametrize("kept", [[], [("5-0", b"a")]])
@pytest.mark.parametrize("removed_already", [False, True])
async def test_entries_above_an_id_are_removed_and_ids_go_on(
    client: redis.Redis, kept: list[tuple[str, bytes]], removed_already: bool
) -> None:
    log = LeaderLog(client, length=1_000, key=b"ours")
    if kept:
        await log.append(kept)
    strangers = [f"{2**64 - 2}-7", f"{2**64 - 1}-{2**64 - 1}"]
    for stranger in strangers:
        await client.xadd(STREAM, {"x": b"y"}, id=stranger)
    if removed_already:
        await client.xdel(STREAM, *strangers)
    assert await log.top() == strangers[1]
    assert await log.remove_above(HIGHEST) == ([] if removed_already else strangers)
    assert removed_already or not await log.was_cut("4-0"), "nothing of ours is gone"
    await log.append([("5-1", b"b")])
    assert await log.load("0-0", 10) == [*kept, ("5-1", b"b")]


async def test_a_reader_learns_that_what_it_wants_was_cut(client: redis.Redis) -> None:
    log = LeaderLog(client, length=10, key=b"ours")
    assert not await log.was_cut("1-0"), "an empty log has lost nothing"
    await log.append([(f"{ms}-0", b"x") for ms in range(1, 6)])
    assert not await log.was_cut("2-0")
    await log.append([(f"{ms}-0", b"x") for ms in range(6, 1_000)])
    assert await log.was_cut("2-0")
    assert not await log.was_cut("998-0")


async def test_an_incarnation_lasts_until_the_log_is_gone(client: redis.Redis) -> None:
    log = LeaderLog(client, length=10, key=b"ours")
    name = await log.incarnation()
    assert await log.incarnation() == await log.present_incarnation() == name
    await client.flushdb()
    assert await log.present_incarnation() is None
    assert await log.incarnation() != name


@pytest.mark.parametrize("foreign", [b"\xff\xfe", b"0123\x00456789abcde", b"", b"a name"])
async def test_what_is_no_name_of_an_incarnation_is_replaced(
    client: redis.Redis, foreign: bytes
) -> None:
    log = LeaderLog(client, length=10, key=b"ours")
    await client.set(INCARNATION, foreign)
    assert await log.present_incarnation() is None
    name = await log.incarnation()
    assert len(name) == 16
    assert await log.incarnation() == await log.present_incarnation() == name


async def test_what_is_no_entry_of_ours_is_none(client: redis.Redis) -> None:
    log = LeaderLog(client, length=10, key=b"ours")
    await log.append([("1-0", b"x")])
    written: Any = await client.xrange(STREAM)
    (ours,) = written
    strangers: list[dict[Any, Any]] = [
        {b"\xff": b"y"},
        {"e": b"x"},
        {"e": b"x", "m": b""},
        {"e": b"x", "m": b"0" * 16},
        ours[1],  # under an id of its own
    ]
    for number, fields in enumerate(strangers, start=2):
        await client.xadd(STREAM, fields, id=f"{number}-0")
    other = LeaderLog(client, length=10, key=b"theirs")
    await other.append([("9-0", b"x")])
    found = await log.load("0-0", 10)
    assert found == [("1-0", b"x"), *((f"{n}-0", None) for n in (2, 3, 4, 5, 6, 9))]
