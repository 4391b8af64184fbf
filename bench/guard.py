"""The guard's time from a book to a committed exit: `make bench-guard`.

A real guard process on a PostgreSQL of its own, with as many armed triggers and moving books as
are asked for. Measured is from the dip of a book to the exit's arrival on `StreamExits`, which is
after its commit, in a process that does nothing else. Exit status: 0; 1 when the run cannot go on;
2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from bench import bare, receiving, silence
from bench.core.figures import Spread, spread
from bench.core.stalls import STALL_MS, Divided, Taken, divide
from bench.machine import Watch, awake
from bench.market import Market
from bench.system import BenchError
from launcher import temporary
from launcher.ports import free_port
from launcher.state import ROOT
from tradingtools.rpc import transport
from tradingtools.storage.postgres.migrate import migrate
from tradingtools.storage.postgres.sql import load_queries
from tradingtools.v1 import bookfeed_service_pb2_grpc as books_rpc
from tradingtools.v1 import confirm_service_pb2_grpc as confirm_rpc

_SQL = load_queries(Path(__file__).parent / "queries.sql")
_TO_A_LOT = 5
_MAX_LOTS = 150
"""Of one asset: their stops lie between 0.40 and 0.10."""
_TICK_SECONDS = 0.002
_START_SECONDS = 120.0
_WARM_SECONDS = 3.0
_EXIT_SECONDS = 60.0
_GOAL_MS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParameters:
    """The measures of a run."""

    triggers: int
    assets: int
    deltas: int
    """A second."""
    fires: int
    """A second."""
    seconds: float

    @property
    def lots(self) -> int:
        """Of each asset."""
        return self.triggers // self.assets // _TO_A_LOT


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of a run."""

    exits: Divided
    """By whether a bare commit stalled beside them."""
    taken_ms: Spread
    """Of all of them."""
    bare_ms: Spread
    """A bare insert and its commit on the same PostgreSQL meanwhile: the disk's share."""
    late_ms: Spread
    """How late the benchmark's own turns came; part of what exits took."""
    deltas: float
    """A second, as they really left."""
    start_seconds: float
    """Of the guard, until it asked for books."""
    cores: float
    """Of the guard."""
    before_mib: float
    after_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Where a guard is."""

    pid: int
    listen: str
    database_url: str
    start_seconds: float
    """Until it asked for books."""


@asynccontextmanager
async def loaded(requested: RunParameters, market: Market) -> AsyncIterator[Loaded]:
    """A guard that has loaded the triggers."""

    def register(server: Any) -> None:
        books_rpc.add_BookfeedServiceServicer_to_server(market, server)
        confirm_rpc.add_ConfirmServiceServicer_to_server(silence.Confirm(), server)

    with ExitStack() as stack:
        server_url = stack.enter_context(temporary.temporary_postgres())
        redis_url = stack.enter_context(temporary.temporary_valkey())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tt-bench-")))
        url = temporary.create_database(server_url)
        await asyncio.to_thread(_fill, url, requested)
        async with transport.serving("127.0.0.1:0", [], register) as served:
            listen, here = f"127.0.0.1:{free_port()}", f"127.0.0.1:{served.port}"
            log = directory / "guard.log"
            started = time.monotonic()
            with log.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "services.guard",
                    cwd=ROOT,
                    stdout=output,
                    stderr=output,
                    env={
                        "PATH": os.environ["PATH"],
                        "TT_DATABASE_URL": url,
                        "TT_REDIS_URL": redis_url,
                        "TT_ENGINE_OPEN": "true",
                        "TT_GUARD_LISTEN": listen,
                        "TT_GUARD_CONFIRM_TARGET": here,
                        "TT_GUARD_BOOKFEED_TARGET": here,
                    },
                )  # fmt: skip
            try:
                async with asyncio.timeout(_START_SECONDS):
                    await market.requested.wait()
                yield Loaded(
                    pid=process.pid,
                    listen=listen,
                    database_url=url,
                    start_seconds=time.monotonic() - started,
                )
            except (BenchError, TimeoutError) as error:
                raise BenchError(f"{error}; the guard said: {log.read_text()[-800:]}") from error
            finally:
                if process.returncode is None:
                    process.terminate()
                await process.wait()


def _fill(url: str, requested: RunParameters) -> None:
    migrate(url)
    with psycopg.connect(url) as connection:
        for name in ("guarded_lots", "armed_triggers"):
            connection.execute(_SQL[name], {"assets": requested.assets, "lots": requested.lots})
        connection.commit()
        connection.autocommit = True
        connection.execute("vacuum analyze lot, trigger")
        # As on a server that has been up: the log's files are there to be used again.
        connection.execute("checkpoint")


async def _play(
    requested: RunParameters, market: Market, seconds: float, late: list[float]
) -> float:
    """Move books and let some dip; how many deltas a second left.

    Args:
        requested: what the run is made of.
        market: whose books move.
        seconds: how long.
        late: takes up by how many milliseconds each turn came too late.
    """
    started = time.monotonic()
    moved = dipped = 0
    while (gone := time.monotonic() - started) < seconds or dipped == 0:
        due = int(gone * requested.deltas) - moved
        market.move(due)
        moved += due
        if int(gone * requested.fires) > dipped:
            market.dip()
            dipped += 1
        due_at = time.monotonic() + _TICK_SECONDS
        await asyncio.sleep(_TICK_SECONDS)
        late.append((time.monotonic() - due_at) * 1000)
    deadline = time.monotonic() + _EXIT_SECONDS
    while market.dips:
        if time.monotonic() > deadline:
            raise BenchError(f"{market.dips} exits did not come in {_EXIT_SECONDS:.0f} s")
        await asyncio.sleep(_TICK_SECONDS)
    return moved / gone


async def measure(requested: RunParameters) -> RunResult:
    """Fill, start, warm up, measure. Raises BenchError."""
    market = Market(assets=requested.assets, stops=requested.lots)
    commits: list[Taken] = []
    late: list[float] = []
    async with loaded(requested, market) as made:
        taken: list[Taken] = []

        def came(orders: Mapping[str, int]) -> None:
            taken.extend(market.came(orders))

        async with receiving.beside(made.listen, came):
            async with bare.beside(made.database_url, commits.extend):
                await _play(requested, market, _WARM_SECONDS, [])
                taken.clear()
                process = psutil.Process(made.pid)
                before, used = process.memory_info().rss, sum(process.cpu_times()[:2])
                started_ns = time.monotonic_ns()
                deltas = await _play(requested, market, requested.seconds, late)
                gone = (time.monotonic_ns() - started_ns) / 1e9
                cores = (sum(process.cpu_times()[:2]) - used) / gone
                after = process.memory_info().rss
            commits = [commit for commit in commits if commit.started_ns >= started_ns]
            return RunResult(
                exits=divide(taken, commits),
                taken_ms=spread([each.ms for each in taken]),
                bare_ms=spread([commit.ms for commit in commits]),
                late_ms=spread(late),
                deltas=deltas,
                start_seconds=made.start_seconds,
                cores=cores,
                before_mib=before / 2**20,
                after_mib=after / 2**20,
            )


def _beside(exits: Divided) -> str:
    """Return what exits took that stood in no stall of a bare commit."""
    slow, stood = (
        sum(taken.ms > _GOAL_MS for taken in some)
        for some in ((*exits.stalled, *exits.others), exits.stalled)
    )
    reported = (
        f"of {slow} exits above {_GOAL_MS:.0f} ms {stood} stood in a stall that a bare commit met,"
        f" too (above {STALL_MS:.0f} ms)"
    )
    if not exits.others:
        return f"{reported}, as did all others"
    ms = spread([taken.ms for taken in exits.others])
    return (
        f"{reported}; the {len(exits.others)} that met none: p50 {ms.p50:.1f}, p90 {ms.p90:.1f},"
        f" p99 {ms.p99:.1f}, max {ms.max:.1f} ms"
    )


def main(arguments: Sequence[str]) -> int:
    """Measure and show; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    parser.add_argument("--triggers", type=int, default=100_000, help="armed, in all")
    parser.add_argument("--assets", type=int, default=200)
    parser.add_argument("--deltas", type=int, default=2_500, help="a second, over all assets")
    parser.add_argument("--fires", type=int, default=20, help="stops reached a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--awake", action="store_true", help="keep the cores from halting")
    given = vars(parser.parse_args(arguments))
    keep_awake = given.pop("awake")
    requested = RunParameters(**given)
    if (
        min(requested.assets, requested.deltas, requested.fires, requested.lots) < 1
        or requested.lots > _MAX_LOTS
    ):
        parser.error(f"--triggers: five to {_TO_A_LOT * _MAX_LOTS} for each asset")
    watch = Watch()
    try:
        with awake(desired=keep_awake):
            found = asyncio.run(measure(requested))
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    ms, bare_ms, late_ms = found.taken_ms, found.bare_ms, found.late_ms
    count = len(found.exits.stalled) + len(found.exits.others)
    sys.stdout.write(
        f"{requested.triggers} armed triggers on {requested.assets} assets,"
        f" {found.deltas:.0f} deltas/s,"
        f" {watch.said()}\n"
        f"{count} exits, from delta to committed exit: p50 {ms.p50:.1f}, p90 {ms.p90:.1f},"
        f" p99 {ms.p99:.1f}, max {ms.max:.1f} ms\n"
        f"a bare insert and commit meanwhile: p50 {bare_ms.p50:.1f}, p90 {bare_ms.p90:.1f},"
        f" p99 {bare_ms.p99:.1f}, max {bare_ms.max:.1f} ms\n"
        f"{_beside(found.exits)}\n"
        f"the benchmark's own turns were late by: p50 {late_ms.p50:.1f}, p99 {late_ms.p99:.1f},"
        f" max {late_ms.max:.1f} ms\n"
        f"guard: watched {found.start_seconds:.1f} s after its start, {found.cores:.2f} cores,"
        f" {found.before_mib:.0f} MiB before, {found.after_mib:.0f} MiB after\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
