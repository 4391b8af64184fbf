"""The wire by hand: signed requests and sockets, the signature written apart from the server's."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.paper_okx.harness import PASSPHRASE, SECRET, WAIT_S, Live


def sign(secret: str, text: str) -> str:
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def stamp(shift_s: float = 0) -> str:
    at = datetime.fromtimestamp(time.time() + shift_s, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class Rest:
    """An account's REST."""

    def __init__(self, live: Live, name: str) -> None:
        self.name = name
        self.http = httpx.Client(base_url=live.rest, verify=live.tls, timeout=WAIT_S)

    def headers(self, method: str, path: str, body: str, **changes: str) -> dict[str, str]:
        at = changes.pop("at", "") or stamp()
        found = {
            "OK-ACCESS-KEY": self.name,
            "OK-ACCESS-SIGN": sign(SECRET, f"{at}{method}{path}{body}"),
            "OK-ACCESS-TIMESTAMP": at,
            "OK-ACCESS-PASSPHRASE": PASSPHRASE,
        }
        return {name: value for name, value in {**found, **changes}.items() if value}

    def ask(self, method: str, path: str, body: Any = None, **changes: str) -> httpx.Response:
        text = "" if body is None else json.dumps(body)
        path = f"/api/v5/{path}"
        headers = self.headers(method, path, text, **changes)
        return self.http.request(method, path, content=text, headers=headers)

    def get(self, path: str) -> Any:
        return self.ask("GET", path).json()

    def post(self, path: str, body: Any, **changes: str) -> Any:
        return self.ask("POST", path, body, **changes).json()

    def order(self, **changes: str) -> Any:
        requested = {
            "instId": "BTC-USDT-SWAP",
            "tdMode": "cross",
            "side": "buy",
            "ordType": "limit",
            "sz": "1",
            "px": "50000",
        }
        return self.post("trade/order", {**requested, **changes})


class Heard:
    """A socket and all that it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self._changed = asyncio.Event()

    async def read(self) -> None:
        async for text in self.socket:
            if text != "pong":
                self.messages.append(json.loads(text))
            self._changed.set()

    async def say(self, op: str, *args: dict[str, Any], **more: Any) -> None:
        await self.socket.send(json.dumps({"op": op, "args": list(args), **more}))

    async def until(self, desired: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message that is wanted; fails after WAIT_S."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for message in self.messages:
                    if desired(message):
                        return message
                self._changed.clear()
                await self._changed.wait()

    async def data(self, channel: str, desired: Callable[[Any], bool] = bool) -> Any:
        """The first row of a channel that is wanted."""
        found = await self.until(
            lambda one: (
                "data" in one
                and one.get("arg", {}).get("channel") == channel
                and any(desired(row) for row in one["data"])
            )
        )
        return next(row for row in found["data"] if desired(row))


@asynccontextmanager
async def socket(live: Live, path: str, name: str = "") -> AsyncIterator[Heard]:
    """A socket, logged in where a name is given."""
    async with connect(live.socket(path), ssl=live.tls) as connected:
        received = Heard(connected)
        reading = asyncio.create_task(received.read())
        if name:
            await received.say("login", login(name))
            await received.until(lambda one: one.get("event") == "login")
        try:
            yield received
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def login(name: str, *, at: str = "", **changes: str) -> dict[str, str]:
    """The argument of a login."""
    at = at or str(int(time.time()))
    found = {
        "apiKey": name,
        "passphrase": PASSPHRASE,
        "timestamp": at,
        "sign": sign(SECRET, f"{at}GET/users/self/verify"),
    }
    return {**found, **changes}
