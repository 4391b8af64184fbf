"""A paper insiders-api on ports of its own, and the few things tests say to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from paper.insiders.app import PORTS_FILE, run
from paper.insiders.settings import Settings
from tests.support.prepared import Popen
from tradingtools.settings import SharedSettings, load

ASSET = "86773034724744448744514889729172499268401134795843352779107239076687775715536"
OTHER_ASSET = "111"
CONDITION = "0x" + "6c" * 32
PROXY = "0x" + "1b" * 20
OTHER_PROXY = "0x" + "2c" * 20
DEADLINE_S = 60.0


def key(name: object) -> str:
    """An idempotency key."""
    return hashlib.sha256(str(name).encode()).hexdigest()


def body(**changes: object) -> bytes:
    """A valid order, changed; a field set to None is left out."""
    fields: dict[str, object] = {
        "followerUserId": "user-1",
        "followerWalletId": "wallet-1",
        "followerProxy": PROXY,
        "conditionId": CONDITION,
        "assetId": ASSET,
        "size": "10",
        "limitPrice": "0.5",
        "orderType": "FAK",
        **changes,
    }
    return json.dumps({k: v for k, v in fields.items() if v is not None}).encode()


def redeem_body(**changes: object) -> bytes:
    """A valid redemption, changed."""
    left_out = dict.fromkeys(("assetId", "size", "limitPrice", "orderType"))
    return body(**{**left_out, **changes})


def book(
    asks: Mapping[str, str] | None = None, bids: Mapping[str, str] | None = None, **more: object
) -> dict[str, object]:
    """A book as the control port reads it."""

    def levels(side: Mapping[str, str] | None) -> list[dict[str, str]]:
        return [{"price": price, "size": size} for price, size in (side or {}).items()]

    return {"asks": levels(asks), "bids": levels(bids), **more}


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.raw)

    @property
    def code(self) -> str | None:
        """The error code, if it is an error."""
        error = self.json.get("error")
        return None if error is None else str(error["code"])


@dataclass
class Paper:
    """A client of both ports."""

    port: int
    control_port: int
    session: aiohttp.ClientSession
    pid: int | None = None
    timeout: aiohttp.ClientTimeout = field(
        default_factory=lambda: aiohttp.ClientTimeout(total=DEADLINE_S)
    )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        data: bytes = b"",
        headers: Mapping[str, str] | None = None,
        control: bool = False,
        timeout_s: float = DEADLINE_S,
    ) -> Reply:
        port = self.control_port if control else self.port
        async with self.session.request(
            method,
            f"http://127.0.0.1:{port}{path}",
            data=data,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
        ) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def post(
        self, name: object, data: bytes | None = None, *, side: str = "buy", **more: Any
    ) -> Reply:
        headers = {"Idempotency-Key": key(name)}
        content = body() if data is None else data
        return await self.ask("POST", f"/api/trade/{side}", data=content, headers=headers, **more)

    async def get(self, name: object) -> Reply:
        return await self.ask("GET", f"/api/trade/orders/by-key/{key(name)}")

    async def void(self, name: object) -> Reply:
        return await self.ask("POST", f"/api/trade/orders/by-key/{key(name)}/void")

    async def cash(self, proxy: str = PROXY) -> str:
        reply = await self.ask("GET", f"/api/wallets/{proxy}/balance")
        return str(reply.json["cash"])

    async def positions(self, proxy: str = PROXY) -> dict[str, str]:
        reply = await self.ask("GET", f"/api/wallets/{proxy}/positions")
        return {row["assetId"]: row["size"] for row in reply.json["positions"]}

    async def notify(self, method: str, path: str, given: object = None) -> Any:
        data = b"" if given is None else json.dumps(given).encode()
        reply = await self.ask(method, path, data=data, control=True)
        assert reply.status < 300, reply.raw
        return reply.json

    async def put_book(self, given: object, asset: str = ASSET) -> None:
        await self.notify("PUT", f"/books/{asset}", given)

    async def fault(self, kind: str, where: str = "before_accept", **more: object) -> None:
        await self.notify("POST", "/faults", {"kind": kind, "where": where, "seed": 1, **more})

    async def journal(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = (await self.notify("GET", "/journal"))["entries"]
        return entries

    async def state(self) -> dict[str, Any]:
        state: dict[str, Any] = await self.notify("GET", "/state")
        return state


async def until(check: Callable[[], Awaitable[Any]]) -> Any:
    """Poll until the check gives something true."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = await check()
            if found:
                return found
            await asyncio.sleep(0.01)


def environment(state_dir: Path, **settings: object) -> dict[str, str]:
    """The environment of a paper insiders-api."""
    own = {f"TT_INSIDERS_{name.upper()}": str(value) for name, value in settings.items()}
    return {"TT_INSIDERS_STATE_DIR": str(state_dir), **own}


@asynccontextmanager
async def served(state_dir: Path, **settings: object) -> AsyncIterator[Paper]:
    """The app in this process."""
    _forget_ports(state_dir)
    stop = asyncio.Event()
    loaded = load(Settings, "insiders", environment(state_dir, **settings))
    assert isinstance(loaded.shared, SharedSettings)
    task = asyncio.create_task(run(loaded, stop))
    try:
        async with aiohttp.ClientSession() as session:
            port, control_port = await _ports(state_dir, task)
            yield Paper(port, control_port, session)
    finally:
        stop.set()
        await task


@asynccontextmanager
async def process(state_dir: Path, **settings: object) -> AsyncIterator[Paper]:
    """The app as `python -m paper.insiders`, killed with -9 at the end."""
    _forget_ports(state_dir)
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("TT_")}
    child = Popen(
        [sys.executable, "-m", "paper.insiders"],
        env={**inherited, **environment(state_dir, **settings)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    waiting = asyncio.create_task(asyncio.to_thread(child.wait))
    try:
        async with aiohttp.ClientSession() as session:
            port, control_port = await _ports(state_dir, waiting)
            yield Paper(port, control_port, session, pid=child.pid)
    finally:
        child.kill()
        await waiting


def _forget_ports(state_dir: Path) -> None:
    # The file of an earlier life names ports where nobody listens any more.
    (state_dir / PORTS_FILE).unlink(missing_ok=True)


def has_ports(state_dir: Path) -> bool:
    """Return whether the file with the ports is there."""
    return (state_dir / PORTS_FILE).exists()


async def _ports(state_dir: Path, alive: asyncio.Task[Any]) -> tuple[int, int]:
    path = state_dir / PORTS_FILE

    async def ports() -> tuple[int, int] | None:
        if alive.done():
            raise AssertionError(f"it ended instead of listening: {alive.result()!r}")
        if not has_ports(state_dir):
            return None
        found = json.loads(path.read_bytes())
        return found["port"], found["control_port"]

    found: tuple[int, int] = await until(ports)
    return found
