"""The other contestant: the whole engine as `make run` starts it, on the bench's feed and far side.

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
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from threading import Event

import httpx

from bench.feed import Asset
from launcher import supervision
from launcher.prepare import Prepared, prepare
from launcher.settings import Settings
from launcher.startup import Starter
from launcher.state import ROOT, open_state
from tradingtools.domain.money import parse_exact, to_text
from tradingtools.runtime.settings import load
from tradingtools_client import ApiError, Client, Session, Unreachable
from tradingtools_client.models import CreateSubscriptionRequest

_VENUE_SECONDS = 30.0
_AT_ONCE = 8
_AMOUNT = "10"
_SLIPPAGE = "0.2"


class BenchError(Exception):
    """The benchmark cannot go on; the message is one line."""


@contextmanager
def venue() -> Iterator[str]:
    """The replay venue with books and without trades; its base URL without the scheme."""
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
            yield f"127.0.0.1:{json.loads(note.read_text())['port']}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=15)


def tradable(at: str) -> Asset:
    """The asset of the sample tape whose book is deepest near its best ask. Raises BenchError."""
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
    if not found:
        raise BenchError("no book of the sample can be bought from")
    return max(found, key=lambda each: each[0])[1]


def _environ(feed_port: int, far_port: int, venue_at: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
    return {
        **kept,
        "TT_LAUNCHER_LIVE": "1",
        "TT_LAUNCHER_INSIDERS_URL": f"http://127.0.0.1:{far_port}",
        "TT_INGEST_RTDS_URL": f"ws://127.0.0.1:{feed_port}",
        "TT_INGEST_DATA_API_URL": f"http://{venue_at}/data",
        "TT_BOOKFEED_CLOB_WS_URL": f"ws://{venue_at}/clob/ws/market",
        "TT_BOOKFEED_CLOB_URL": f"http://{venue_at}/clob",
        "TT_BOOKFEED_GAMMA_URL": f"http://{venue_at}/gamma",
    }


def _start(stack: ExitStack, environ: Mapping[str, str]) -> Prepared:
    settings = load(Settings, "launcher", environ)
    state = open_state("")
    stack.callback(state.close)
    prepared = prepare(settings, state, environ)
    stack.callback(prepared.block.release)
    supervisor = supervision.start(
        prepared.programs,
        root=ROOT,
        directory=state.directory,
        sockets=state.sockets,
        environ=prepared.environ,
    )
    stack.callback(supervisor.close)
    starter = Starter(
        supervisor=supervisor, programs=prepared.programs, environ=prepared.environ, stop=Event()
    )
    starter.stores()
    starter.world(prepared.health_urls)
    starter.engine(prepared.addresses)
    starter.edge(prepared.note.rest_url)
    return prepared


@asynccontextmanager
async def running(feed_port: int, far_port: int, venue_at: str) -> AsyncIterator[Prepared]:
    """The engine, all processes ready; gone when the block ends."""
    stack = ExitStack()
    try:
        yield await asyncio.to_thread(_start, stack, _environ(feed_port, far_port, venue_at))
    finally:
        await asyncio.to_thread(stack.close)


async def subscribe(prepared: Prepared, leaders: Mapping[str, int]) -> str:
    """Create each leader's followers over REST; the id of one. Raises BenchError."""
    followed = [leader for leader, count in leaders.items() for _ in range(count)]
    # Many creates at once are told to come again, and do.
    rest = Client(Session(prepared.note.rest_url, prepared.token, timeout=30.0, tries=100))
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            made = pool.map(rest.create_subscription, map(_follower, followed))
            return (await asyncio.to_thread(list, made))[0]["id"]
    except (ApiError, Unreachable) as error:
        raise BenchError(f"creating subscriptions: {error}") from error
    finally:
        rest.close()


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
