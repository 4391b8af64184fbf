"""A feed and a Data API of a few lines, for what the venue replay cannot be told to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web


class Fake:
    """Everything a test may set or look at."""

    def __init__(self) -> None:
        self.url = ""
        self.subscriptions: list[Any] = []
        self.pings = 0
        self.sockets: list[web.WebSocketResponse] = []
        self.trades: list[dict[str, Any]] = []
        self.greeting = ""
        self.answer_seconds = 0.0
        self.answers = asyncio.Event()
        """Cleared, the Data API keeps everybody waiting."""
        self.answers.set()
        self.requested: list[str] = []
        """Whom the Data API was asked about."""
        self.lets_in = asyncio.Event()
        """Cleared, the feed keeps new connections waiting."""
        self.lets_in.set()
        self.knocks = 0
        self.movements: list[dict[str, Any]] = []
        self.worth: dict[str, str] = {}
        self.cash: dict[str, int] = {}
        self.refusals: list[int] = []
        """Statuses that the Data API's next answers have."""
        self.refuses_end = False
        self.positions: dict[str, list[dict[str, Any]]] = {}

    async def send(self, frame: str | bytes, *sockets: int) -> None:
        """Send a frame to all open sockets, or to those numbers."""
        for number, socket in enumerate(list(self.sockets)):
            if not sockets or number in sockets:
                text = frame if isinstance(frame, str) else frame.decode()
                await socket.send_str(text)

    async def feed(self, request: web.Request) -> web.WebSocketResponse:
        self.knocks += 1
        await self.lets_in.wait()
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            if message.data == "ping":
                self.pings += 1
                await socket.send_str("PONG")
            else:
                self.subscriptions.append(json.loads(message.data))
                self.sockets.append(socket)
                await socket.send_str(self.greeting)
        if socket in self.sockets:
            self.sockets.remove(socket)
        return socket

    async def value(self, request: web.Request) -> web.Response:
        user = request.query["user"]
        if user not in self.worth:
            raise web.HTTPServiceUnavailable
        return web.json_response({"data": {"proxy_wallet": user, "value": self.worth[user]}})

    async def rpc(self, request: web.Request) -> web.Response:
        """The node: `cash` by wallet, all of it in the first token; without one it refuses."""
        requested = json.loads(await request.read())
        to, wallet = requested["params"][0]["to"], "0x" + requested["params"][0]["data"][-40:]
        if wallet not in self.cash:
            return web.json_response({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000}})
        first = to == "0xc011a7e12a19f7b1f670d46f03b03f3342e82dfb"
        balance = self.cash[wallet] * 10**6 if first else 0
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": f"0x{balance:064x}"})

    async def data(self, request: web.Request) -> web.Response:
        self.requested.append(request.query["user"])
        await self.answers.wait()
        await asyncio.sleep(self.answer_seconds)
        if self.refuses_end and "end" in request.query:
            raise web.HTTPBadRequest
        if self.refusals:
            return web.json_response({"error": "later"}, status=self.refusals.pop())
        user, start = request.query["user"], int(request.query.get("start", "0"))
        reported = self.movements if request.path.endswith("activity") else self.trades
        end = int(request.query.get("end", str(2**63)))
        rows = [
            row for row in reported
            if row["proxy_wallet"] == user and start <= row["timestamp"] <= end
        ]  # fmt: skip
        if request.path.endswith("positions"):
            rows = self.positions.get(user, [])
        first, limit = int(request.query.get("cursor", "0")), int(request.query["limit"])
        following = str(first + limit) if len(rows) > first + limit else None
        return web.json_response({
            "data": rows[first : first + limit],
            "pagination": {"has_more": following is not None, "next_cursor": following},
        })  # fmt: skip


@asynccontextmanager
async def fake_venue() -> AsyncIterator[Fake]:
    """Serve on a port of its own; ``url`` has no scheme."""
    fake = Fake()
    app = web.Application()
    app.router.add_get("/rtds", fake.feed)
    app.router.add_get("/v2/{kind:trades|activity|positions}", fake.data)
    app.router.add_get("/v2/value", fake.value)
    app.router.add_post("/rpc", fake.rpc)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


def frame(row: dict[str, Any], *, kind: str = "trades") -> str:
    """A row of the Data API as a frame of the feed."""
    payload = {
        "proxyWallet": "0x" + row["proxy_wallet"][2:].upper(),
        "transactionHash": row["transaction_hash"],
        "conditionId": row["condition_id"],
        "asset": row["token_id"],
        **{name: row[name] for name in ("side", "price", "size", "timestamp")},
        "title": "Will it?",
        "outcome": "Yes",
    }
    envelope = {"topic": "activity", "type": kind, "timestamp": 1, "connection_id": "x"}
    return json.dumps({**envelope, "payload": payload})
