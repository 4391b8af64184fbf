"""The other contestant: the whole engine as `make run` starts it, on the bench's feed and venue
gateway.

Books and the Data API come from the replay venue, which tells no trades of its own. Subscriptions
are created over REST, as the product would.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import httpx
import psycopg

from bench.feed import Asset
from launcher import supervision
from launcher.core.programs import ENGINE, own_environment
from launcher.prepare import Prepared, prepare
from launcher.settings import Settings
from launcher.startup import Starter
from launcher.state import ROOT, open_state
from tradingtools.domain.money import parse_exact, to_text
from tradingtools.settings import load
from tradingtools.storage.postgres.sql import load_queries
from tradingtools_client import ApiError, Client, Session, Unreachable
from tradingtools_client.models import CreateSubscriptionRequest

SQL = load_queries(Path(__file__).parent / "queries.sql")
_VENUE_SECONDS = 30.0
_TTL_MS = "120000"
_AMOUNT = "10"
_SLIPPAGE = "0.2"


class BenchError(Exception):
    """The benchmark cannot go on; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Where the replay venue listens, ``host:port``."""

    at: str
    control: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """All processes of the system, and who keeps them."""

    prepared: Prepared
    supervisor: supervision.Supervisor
    started: Mapping[str, float]
    """Seconds that each step of the start took."""

    @property
    def database_url(self) -> str:
        """As PostgreSQL's own user."""
        return self.prepared.environ["TT_DATABASE_URL"]

    def pids(self) -> dict[str, int]:
        """Process ids of the engine's processes. Raises SupervisionError."""
        return {state.name: state.pid for state in self.supervisor.states() if state.name in ENGINE}

    def client(self) -> Client:
        """A client of its REST surface; the caller closes it."""
        note = self.prepared.note
        return Client(Session(note.rest_url, self.prepared.token, timeout=30.0, tries=100))


@contextmanager
def venue(rest_ms: int = 0) -> Iterator[Venue]:
    """The replay venue with books and without trades.

    Args:
        rest_ms: how long each answer by REST takes, besides.
    """
    with tempfile.TemporaryDirectory(prefix="tt-bench-") as directory:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "paper.venue"],
            cwd=ROOT,
            env={
                **environ,
                "TT_VENUE_STATE_DIR": directory,
                "TT_VENUE_START_WHEN_TOLD": "true",
                "TT_VENUE_FIREHOSE_PER_SECOND": "0",
                "TT_VENUE_REST_MS": str(rest_ms),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            note = Path(directory) / "venue.ports.json"
            deadline = time.monotonic() + _VENUE_SECONDS
            while not note.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchError("the replay venue does not come up")
                time.sleep(0.05)
            ports = json.loads(note.read_text())
            yield Venue(
                at=f"127.0.0.1:{ports['port']}", control=f"127.0.0.1:{ports['control_port']}"
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=15)


def tradable(at: str) -> tuple[Asset, Asset]:
    """The two assets, of two markets, of the sample tape whose books are deepest near their best
    asks, the deepest first. Raises BenchError."""
    sample = ROOT / "paper" / "venue" / "sample" / "leader_trades_2026-07.jsonl"
    rows = [json.loads(line)["frame"]["payload"] for line in sample.read_text().splitlines()[:200]]
    found: list[tuple[int, Asset]] = []
    with httpx.Client(base_url=f"http://{at}", trust_env=False, timeout=10.0) as client:
        for row in {row["asset"]: row for row in rows}.values():
            answer = client.get("/clob/book", params={"token_id": row["asset"]})
            if answer.status_code != httpx.codes.OK or not answer.json()["asks"]:
                continue
            asks = [
                (parse_exact(level["price"]), parse_exact(level["size"]))
                for level in answer.json()["asks"]
            ]
            best = min(price for price, _ in asks)
            if not 300_000 <= best <= 700_000:
                continue
            depth = sum(size for price, size in asks if price * 10 <= best * 11)
            asset = Asset(
                asset_id=row["asset"],
                condition_id=row["conditionId"],
                price=to_text(best),
                title=row["title"],
            )
            found.append((depth, asset))
    ordered = [asset for _, asset in sorted(found, key=lambda each: each[0], reverse=True)]
    others = [asset for asset in ordered if asset.condition_id != ordered[0].condition_id]
    if not others:
        raise BenchError("no two books of the sample can be bought from")
    return ordered[0], others[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The world outside the engine: ports of feed and venue gateway, and the venue."""

    feed: int
    gateway: int
    venue: Venue


def _environ(ends: Ends) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
    return {
        **kept,
        "TT_LAUNCHER_LIVE": "1",
        "TT_LAUNCHER_INSIDERS_URL": f"http://127.0.0.1:{ends.gateway}",
        "TT_INGEST_RTDS_URL": f"ws://127.0.0.1:{ends.feed}",
        "TT_INGEST_DATA_API_URL": f"http://{ends.venue.at}/data",
        "TT_BOOKFEED_CLOB_WS_URL": f"ws://{ends.venue.at}/clob/ws/market",
        "TT_BOOKFEED_CLOB_URL": f"http://{ends.venue.at}/clob",
        "TT_BOOKFEED_GAMMA_URL": f"http://{ends.venue.at}/gamma",
        # However late an entry is, it is sent and measured.
        "TT_ROUTER_ENTRY_TTL_MS": _TTL_MS,
    }


def _start(stack: ExitStack, environ: Mapping[str, str], postgres: Mapping[str, str]) -> Engine:
    settings = load(Settings, "launcher", environ)
    state = open_state("")
    stack.callback(state.close)
    prepared = prepare(settings, state, environ)
    stack.callback(prepared.block.release)
    said = tuple(word for name, value in postgres.items() for word in ("-c", f"{name}={value}"))
    programs = [
        replace(program, command=program.command + said) if program.name == "postgres" else program
        for program in prepared.programs
    ]
    supervisor = supervision.start(
        programs,
        root=ROOT,
        directory=state.directory,
        sockets=state.sockets,
        environ=own_environment("", prepared.environ),
    )
    stack.callback(supervisor.close)
    starter = Starter(
        supervisor=supervisor, programs=programs, environ=prepared.environ, stop=Event()
    )
    steps: dict[str, Callable[[], None]] = {
        "stores": starter.stores,
        "world": lambda: starter.world(prepared.health_urls),
        "engine": lambda: starter.engine(prepared.addresses),
        "edge": lambda: starter.edge(prepared.note.rest_url),
    }
    started = {}
    for name, step in steps.items():
        start_s = time.monotonic()
        step()
        started[name] = time.monotonic() - start_s
    return Engine(prepared=prepared, supervisor=supervisor, started=started)


@asynccontextmanager
async def running(
    ends: Ends, environ: Mapping[str, str], postgres: Mapping[str, str]
) -> AsyncIterator[Engine]:
    """The engine, all processes ready; gone when the block ends.

    Args:
        ends: what it reads and where it sends.
        environ: further settings.
        postgres: further settings of PostgreSQL.
    """
    stack = ExitStack()
    try:
        yield await asyncio.to_thread(_start, stack, {**_environ(ends), **environ}, postgres)
    finally:
        await asyncio.to_thread(stack.close)


async def subscribe(engine: Engine, leaders: Mapping[str, int]) -> str:
    """Give each leader his followers; the id of one subscription. Raises BenchError.

    The first of each is created over REST; the others are copies of it, in one transaction.
    """
    rest = engine.client()
    try:
        made = [
            (await asyncio.to_thread(rest.create_subscription, _follower(leader)))["id"]
            for leader in leaders
        ]
    except (ApiError, Unreachable) as error:
        raise BenchError(f"creating subscriptions: {error}") from error
    finally:
        rest.close()
    await asyncio.to_thread(
        multiply, engine.database_url, dict(zip(made, leaders.values(), strict=True))
    )
    return made[0]


def multiply(database_url: str, counts: Mapping[str, int]) -> None:
    """Make followers like the one of each subscription, so that there are so many of them."""
    with psycopg.connect(database_url) as connection:
        for identifier, count in counts.items():
            desired = {"id": identifier, "count": count}
            connection.execute(SQL["multiply"], desired)
            connection.execute(SQL["multiplied"], desired)


def _follower(leader: str) -> CreateSubscriptionRequest:
    return {
        "follower": {
            "followerUserId": secrets.token_hex(8),
            "followerWalletId": secrets.token_hex(8),
            "followerProxy": "0x" + secrets.token_hex(20),
        },
        "leader": leader,
        "sizing": {"fixed": {"amount": _AMOUNT}},
        "limits": {"maxSlippage": _SLIPPAGE},
    }
