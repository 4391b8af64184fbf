"""The surroundings of the real process: followers, rows, a reader, the truth."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psycopg

from tests.ingest.fake import Fake, fake_venue, frame
from tests.ingest.harness import Process, Venue, running, until
from tradingtools.v1 import common_pb2, ingest_service_pb2, ingest_service_pb2_grpc
from tradingtools.v1.ingest_service_pb2 import LeaderTradeEvent

LEADER, OTHER = "0x" + "a1" * 20, "0x" + "b2" * 20
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


def pointing_at(fake: Fake) -> dict[str, str]:
    return {
        "TT_INGEST_RTDS_URL": f"ws://{fake.url}/rtds",
        "TT_INGEST_DATA_API_URL": f"http://{fake.url}",
        "TT_INGEST_RPC_URL": f"http://{fake.url}/rpc",
    }


def replayed(replay: Venue) -> dict[str, str]:
    return {
        "TT_INGEST_RTDS_URL": f"{replay.ws_url}/rtds",
        "TT_INGEST_DATA_API_URL": f"{replay.http_url}/data",
        "TT_INGEST_RPC_URL": f"{replay.http_url}/rpc",
    }


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A row of the Data API that was traded just now."""
    return {
        "proxy_wallet": LEADER, "transaction_hash": f"0x{number:064x}", "token_id": "7",
        "condition_id": "0x" + "cd" * 32, "side": "BUY", "price": 0.5, "size": 10,
        "timestamp": time.time_ns() // 10**9, **changes,
    }  # fmt: skip


class Tail:
    """A reader that remembers what it was told and where it stands."""

    def __init__(self, consumer: str = "") -> None:
        self.consumer = consumer
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
            request = ingest_service_pb2.StreamLeaderTradesRequest(
                cursor=self.cursor, consumer=self.consumer
            )
            async for response in stub.StreamLeaderTrades(request):
                self.events += response.trades
                self.cursor = response.cursor

    async def of_tx(self, number: int, count: int = 1) -> list[LeaderTradeEvent]:
        """Events of a transaction, once there are enough."""

        async def poll() -> list[LeaderTradeEvent]:
            found = [e for e in self.events if e.leader_tx == f"0x{number:064x}"]
            return found if len(found) >= count else []

        return await until(poll)

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


@asynccontextmanager
async def followed(
    environ: Mapping[str, str], database_url: str, directory: Path, tail: Tail
) -> AsyncIterator[tuple[Fake, Process]]:
    """A venue, and an ingest that follows the leader there, both connections up, and is read."""
    follow(database_url, LEADER)
    async with fake_venue() as fake:
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, directory) as process, tail.reading(process):
            await until(lambda: connected(fake, 2))
            yield fake, process


async def connected(fake: Fake, sockets: int) -> bool:
    return len(fake.sockets) >= sockets


async def ready(tail: Tail, fake: Fake) -> bool:
    """Return whether the leader's rows come with a baseline; each look sends another, of another
    asset."""
    number = 0xF0 + len(tail.events) % 16
    await fake.send(frame(row(number, token_id="999")), 0)
    await asyncio.sleep(0.05)
    return any(
        event.leader == LEADER and event.HasField("leader_held_before_micros")
        for event in tail.events
    )


async def passed(tail: Tail, fake: Fake, number: int) -> None:
    """Wait until ingest has taken all that the first socket was sent before.

    A frame is taken when its turn comes, and nobody tells of one that is left alone: a row of a
    second leader, who has to be followed, is told behind it.
    """
    await fake.send(frame(row(number, proxy_wallet=OTHER)), 0)
    await tail.of_tx(number)
