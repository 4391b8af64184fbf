"""A message that cannot be handled is put aside, whatever the error says."""

from __future__ import annotations

import os
import subprocess
import sys

from tradingtools.runtime.consumer import TRIES, Consumer
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.v1 import ingest_service_pb2 as pb


async def test_an_error_with_nul_in_its_text_is_quarantined(database_url: str) -> None:
    async def refuse(message: pb.StreamLeaderTradesResponse) -> None:
        raise ValueError(f"bad \x00 in {message.cursor}")

    async with open_pool(database_url, name="test", size=1) as pool:
        consumer = Consumer(pool, "trades", "nul-0", pb.StreamLeaderTradesResponse, refuse)
        await consumer.take(pb.StreamLeaderTradesResponse(cursor="7"), "7")
        async with pool.connection() as one:
            query = "select reason from dead_letter where consumer = 'nul-0'"
            rows = await (await one.execute(query)).fetchall()
    assert [row["reason"] for row in rows] == ["ValueError: bad \ufffd in 7"]


async def test_what_cannot_be_handled_together_is_handled_one_by_one(database_url: str) -> None:
    seen: list[list[str]] = []

    async def handle(message: pb.StreamLeaderTradesResponse) -> None:
        seen.append([trade.leader for trade in message.trades])
        if "bad" in seen[-1]:
            raise ValueError("bad")

    async with open_pool(database_url, name="test", size=1) as pool:
        consumer = Consumer(pool, "trades", "some-0", pb.StreamLeaderTradesResponse, handle)
        await consumer.take_batch([(_trades("a", "b"), "1"), (_trades("c"), "2")])
        assert seen == [["a", "b", "c"]]
        seen.clear()
        await consumer.take_batch([(_trades("a"), "3"), (_trades("bad"), "4"), (_trades("c"), "5")])
        async with pool.connection() as one:
            query = "select cursor from dead_letter where consumer = 'some-0'"
            rows = await (await one.execute(query)).fetchall()
    assert seen == [["a", "bad", "c"], ["a"], *[["bad"]] * TRIES, ["c"]]
    assert [row["cursor"] for row in rows] == ["4"]


def test_an_empty_quarantine_is_told_as_such(database_url: str) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "tradingtools.runtime.dead_letters", "list"],
        env={**os.environ, "TT_DATABASE_URL": database_url},
        check=True,
        capture_output=True,
        text=True,
    )
    assert listed.stdout == "nothing is set aside\n"


def _trades(*leaders: str) -> pb.StreamLeaderTradesResponse:
    trades = [pb.LeaderTradeEvent(leader=leader) for leader in leaders]
    return pb.StreamLeaderTradesResponse(trades=trades)
