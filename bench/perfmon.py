"""From a mark to a performance action with many subscriptions: `make bench-perfmon`.

Real perfmon and control processes on a PostgreSQL of their own. Books move all the time; now and
then one falls through the loss stops of all who hold its asset. Measured is from the mark to the
action's commit, with the time for which every look has to show the loss (`--confirm`). Exit
status: 0; 1 when the run cannot go on; 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg

from bench import silence
from bench.core.figures import spread
from bench.system import BenchError
from launcher import temporary
from launcher.ports import free_port
from launcher.state import ROOT
from tradingtools.codec.marks import columns
from tradingtools.domain.errors import NotFound
from tradingtools.rpc import transport
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres.migrate import migrate
from tradingtools.v1 import bookfeed_service_pb2 as books_pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as books_rpc
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2_grpc as confirm_rpc

_DEEP = 10**15
_BID, _FALLEN = 490_000, 100_000
_WAIT_SECONDS = 120.0
_SUBSCRIBE = """
insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy, leader, state,
    version, sizing_mode, sizing_micros, changed_seq, performance)
select 'sub_' || lpad(to_hex(n), 32, '0'), 'u', 'w', '0x' || lpad(to_hex(n), 40, '0'),
    '0x' || repeat('9', 40), 'ACTIVE', 1, 'FIXED', 10000000, 1,
    '{"loss_stop": {"action": "PAUSE", "total": {"amount_micros": 2000000}}}'
from generate_series(1, %(subscriptions)s) n"""
_HOLD = """
insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros, cost_micros)
select '0x' || lpad(to_hex(n), 40, '0'), 'a' || n %% %(assets)s, 'sub_' || lpad(to_hex(n), 32, '0'),
    'c', 10000000, 5000000
from generate_series(1, %(subscriptions)s) n"""


class _Market(books_rpc.BookfeedServiceServicer):
    """Books of as many assets, all deep."""

    def __init__(self, assets: int) -> None:
        self._bids = [_BID] * assets
        self._log: Tail[books_pb.Mark] = Tail(0, _nothing, capacity=200_000)

    def put(self, number: int, bid: int) -> None:
        """Set an asset's best bid."""
        self._bids[number] = bid
        self._log.append(self._log.last + 1, self._mark(number))

    def move(self, number: int) -> None:
        """Tell an asset's book again."""
        self.put(number, self._bids[number])

    def _mark(self, number: int) -> books_pb.Mark:
        bid = self._bids[number]
        return books_pb.Mark(
            asset_id=f"a{number}",
            **columns(((bid, _DEEP),), ((bid + 10_000, _DEEP),)),
            status=books_pb.BOOK_STATUS_FRESH,
            book_ms=time.time_ns() // 10**6,
            received_ns=time.time_ns(),
            market=books_pb.MarketInfo(
                asset_id=f"a{number}", condition_id="c", tick_micros=10_000,
                min_size_micros=1_000_000, category="other",
            ),
        )  # fmt: skip

    async def StreamMarks(
        self, _request: books_pb.StreamMarksRequest, _context: Any
    ) -> AsyncIterator[books_pb.StreamMarksResponse]:
        """All of them first."""
        after = self._log.last
        marks = [self._mark(number) for number in range(len(self._bids))]
        yield books_pb.StreamMarksResponse(marks=marks, cursor=str(after))
        async for cursor, news in self._log.follow(after):
            yield books_pb.StreamMarksResponse(marks=news, cursor=str(cursor))

    async def GetBook(self, request: books_pb.GetBookRequest, _context: Any) -> Any:
        """Nobody asks."""
        raise NotFound("no such asset", kind="asset", id=request.asset_id)

    async def Acknowledge(self, _request: Any, _context: Any) -> Any:
        """Nobody is behind."""
        return common.AcknowledgeResponse()


async def _nothing(_after: int, _limit: int) -> list[tuple[int, books_pb.Mark]]:
    return []


def _count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"select count(*) from {table}".encode()).fetchone()
    return int(row[0]) if row is not None else 0


async def _until(url: str, table: str, count: int) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while await asyncio.to_thread(_count, url, table) < count:
        if time.monotonic() > deadline:
            raise BenchError(f"{table} has fewer than {count} rows after {_WAIT_SECONDS:.0f} s")
        await asyncio.sleep(0.2)


async def measure(given: argparse.Namespace) -> str:
    """Fill, start, let books fall one after the other; returns the report. Raises BenchError."""
    market, fallen = _Market(given.assets), {}

    def register(server: Any) -> None:
        books_rpc.add_BookfeedServiceServicer_to_server(market, server)
        confirm_rpc.add_ConfirmServiceServicer_to_server(silence.Confirm(), server)

    with ExitStack() as stack:
        server_url = stack.enter_context(temporary.temporary_postgres())
        redis_url = stack.enter_context(temporary.temporary_valkey())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tt-bench-")))
        url = temporary.create_database(server_url)
        await asyncio.to_thread(_fill, url, given)
        token, inside = secrets.token_hex(32), f"127.0.0.1:{free_port()}"
        async with transport.serving("127.0.0.1:0", [], register) as served:
            here = f"127.0.0.1:{served.port}"
            digest = hashlib.sha256(token.encode()).hexdigest()
            environ = {
                "PATH": os.environ["PATH"],
                "TT_DATABASE_URL": url,
                "TT_REDIS_URL": redis_url,
                "TT_ENGINE_OPEN": "true",
                "TT_CONTROL_LISTEN": f"127.0.0.1:{free_port()}",
                "TT_CONTROL_INTERNAL_LISTEN": inside,
                "TT_CONTROL_TOKENS": f"perfmon:internal:{digest}",
                "TT_PERFMON_CONTROL_TARGET": inside,
                "TT_PERFMON_CONTROL_TOKEN": token,
                "TT_PERFMON_CONFIRM_TARGET": here,
                "TT_PERFMON_BOOKFEED_TARGET": here,
                "TT_PERFMON_CONFIRM_MS": str(given.confirm),
            }
            log = stack.enter_context((directory / "log").open("wb"))
            running = [
                await asyncio.create_subprocess_exec(
                    sys.executable, "-m", f"services.{name}", cwd=ROOT, stdout=log, stderr=log,
                    env=environ,
                )
                for name in ("control", "perfmon")
            ]  # fmt: skip
            try:
                await _until(url, "performance", given.subscriptions)
                process = psutil.Process(running[1].pid)
                used, started = sum(process.cpu_times()[:2]), time.monotonic()
                turn = 0
                for number in range(given.falls):
                    until = time.monotonic() + given.apart
                    fallen[f"a{number}"] = time.time()
                    market.put(number, _FALLEN)
                    while time.monotonic() < until:
                        for _ in range(max(1, given.marks // 100)):
                            turn += 1
                            market.move(turn % given.assets)
                        await asyncio.sleep(0.01)
                each = given.subscriptions // given.assets
                await _until(url, "performance_action", each * given.falls)
                cores = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - started)
                taken = await asyncio.to_thread(_taken, url, fallen)
                memory = process.memory_info().rss / 2**20
            finally:
                for one in running:
                    one.terminate()
                    await one.wait()
    ms = spread([sum(parts) for parts in taken])
    first, sure, done = (spread(part).p50 for part in zip(*taken, strict=True))
    return (
        f"{given.subscriptions} subscriptions on {given.assets} assets, {len(taken)} stops,"
        f" {each} at a time, looked at for {given.confirm} ms\n"
        f"from the mark to the committed action: p50 {ms.p50:.0f}, p90 {ms.p90:.0f},"
        f" p99 {ms.p99:.0f}, max {ms.max:.0f} ms\n"
        f"of that (p50) {first:.0f} until the first look, {sure:.0f} until it was sure,"
        f" {done:.0f} until the commit\n"
        f"perfmon: {cores:.2f} cores, {memory:.0f} MiB\n"
    )


def _fill(url: str, given: argparse.Namespace) -> None:
    migrate(url)
    values = {"subscriptions": given.subscriptions, "assets": given.assets}
    with psycopg.connect(url) as connection:
        for statement in (_SUBSCRIBE, _HOLD):
            connection.execute(statement.encode(), values)
        connection.commit()
        connection.autocommit = True
        connection.execute("vacuum analyze")


def _taken(url: str, fallen: dict[str, float]) -> list[tuple[float, float, float]]:
    """Return what each action took until its first look, its last one, and its commit, each from
    the one before, milliseconds."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select l.asset_id, (a.evidence->'points'->0->>'at_ms')::bigint,"
            " (a.evidence->'points'->-1->>'at_ms')::bigint,"
            " extract(epoch from a.acted_at)::float8 * 1000"
            " from performance_action a join lot l on l.origin = a.subscription_id"
        ).fetchall()
    return [
        (first - fallen[asset] * 1000, last - first, at - last) for asset, first, last, at in rows
    ]


def main(arguments: Sequence[str]) -> int:
    """Measure and show; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.perfmon", description=__doc__)
    parser.add_argument("--subscriptions", type=int, default=10_000)
    parser.add_argument("--assets", type=int, default=500)
    parser.add_argument("--marks", type=int, default=500, help="a second, over all assets")
    parser.add_argument("--falls", type=int, default=10, help="assets that fall")
    parser.add_argument("--apart", type=float, default=2.0, help="seconds between two falls")
    parser.add_argument("--confirm", type=int, default=500, help="TT_PERFMON_CONFIRM_MS")
    given = parser.parse_args(arguments)
    if not 1 <= given.falls <= given.assets <= given.subscriptions:
        parser.error("--falls: 1 to --assets, which are no more than --subscriptions")
    try:
        sys.stdout.write(asyncio.run(measure(given)))
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
