"""A venue on port 0 inside the test's loop, and clients that speak to it as the engine would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import websockets

from paper.venue.app import PORTS, run
from paper.venue.settings import Settings
from tradingtools.settings import load

WAIT_S = 60.0
LEADER = "0x215adbb63b47d0ca92f849fe2c2dc1adb0f6254c"
QUIET = {"TT_VENUE_FIREHOSE_PER_SECOND": "0", "TT_VENUE_START_WHEN_TOLD": "true"}
BOTH = [{"topic": "activity", "type": kind} for kind in ("trades", "orders_matched")]


@dataclass(frozen=True)
class Live:
    """A running venue."""

    ws: str
    http: httpx.AsyncClient
    control: httpx.AsyncClient

    async def notify(self, path: str, body: Any = None) -> Any:
        """POST to the control port; the answer."""
        answer = await self.control.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def state(self) -> Any:
        return (await self.control.get("/state")).json()

    async def state_where(self, holds: Callable[[Any], bool]) -> Any:
        """The first state that holds; fails after WAIT_S."""
        for _ in range(round(WAIT_S / 0.01)):
            state = await self.state()
            if holds(state):
                return state
            await asyncio.sleep(0.01)
        raise AssertionError(f"waited too long; last state: {state}")

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


def settings(directory: Path, **more: str) -> Settings:
    environ = {"TT_VENUE_STATE_DIR": str(directory), **QUIET}
    environ |= {f"TT_VENUE_{name.upper()}": value for name, value in more.items()}
    return load(Settings, "venue", environ)


@asynccontextmanager
async def venue(directory: Path, **more: str) -> AsyncIterator[Live]:
    """A venue that waits for POST /start and sends no firehose unless told otherwise."""
    stop = asyncio.Event()
    task = asyncio.create_task(run(settings(directory, **more), stop))
    ports = directory / PORTS
    try:
        await until(lambda: ports.exists() or task.done())
        if task.done():
            await task
        async with clients(ports) as live:
            yield live
    finally:
        stop.set()
        await asyncio.wait_for(task, WAIT_S)
        ports.unlink(missing_ok=True)


@asynccontextmanager
async def clients(ports: Path) -> AsyncIterator[Live]:
    found = msgspec.json.decode(_content(ports))
    base = f"127.0.0.1:{found['port']}"
    async with (
        httpx.AsyncClient(base_url=f"http://{base}") as http,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{found['control_port']}") as control,
    ):
        yield Live(f"ws://{base}", http, control)


def _content(path: Path) -> bytes:
    return path.read_bytes()


async def until(condition: Callable[[], bool]) -> None:
    """Poll until it holds; fail after WAIT_S."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        await asyncio.sleep(0.01)


async def receive(socket: websockets.ClientConnection) -> str:
    text = await asyncio.wait_for(socket.recv(), WAIT_S)
    assert isinstance(text, str)
    return text


@asynccontextmanager
async def feed(live: Live) -> AsyncIterator[websockets.ClientConnection]:
    """A socket of the trade feed, subscribed to both topics."""
    async with websockets.connect(f"{live.ws}/rtds", max_queue=None) as socket:
        await socket.send(request("subscribe"))
        assert await receive(socket) == ""
        yield socket


def request(action: str, subscriptions: Any = BOTH) -> str:
    return msgspec.json.encode({"action": action, "subscriptions": subscriptions}).decode()


async def frames(socket: websockets.ClientConnection, count: int) -> list[str]:
    """The next `count` frames that carry data."""
    found: list[str] = []
    while len(found) < count:
        text = await receive(socket)
        if text not in ("", "PONG"):
            found.append(text)
    return found


@asynccontextmanager
async def market(
    live: Live, *assets: str, custom: bool = False
) -> AsyncIterator[websockets.ClientConnection]:
    """A socket of the market channel, subscribed to the assets."""
    async with websockets.connect(f"{live.ws}/clob/ws/market", max_queue=None) as socket:
        command = {"assets_ids": assets, "type": "market", "custom_feature_enabled": custom}
        await socket.send(msgspec.json.encode(command).decode())
        yield socket


def row(**changes: Any) -> dict[str, Any]:
    """A trade to inject."""
    return {
        "proxyWallet": LEADER,
        "asset": "1234567890123456789",
        "conditionId": "0x" + "ab" * 32,
        "side": "BUY",
        "price": 0.51,
        "size": 12.5,
        "transactionHash": "0x" + "cd" * 32,
        "outcome": "Yes",
        "outcomeIndex": 0,
        "title": "Will it be injected?",
        **changes,
    }
