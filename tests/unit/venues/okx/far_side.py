"""A far side that speaks OKX's REST and sockets, keeps a journal, and misbehaves when told to.

It checks signatures, timestamps and deadlines as the real one does. It is no exchange: an order
rests until a test fills it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import WSMsgType, web

from tests.unit.venues.okx.samples import FUTURE, INVERSE, SPOT, SWAP, TAG
from tradingtools.venues.okx.connection import Endpoint, Patience
from tradingtools.venues.okx.signing import ApiKey, Credentials
from tradingtools.venues.okx.wallet import OkxVenue

SECRET = b"22582BD0CFF14C41EDBF1AB98506286D"
KEY, PASSPHRASE = "the-key", "the-passphrase"
PATIENCE = Patience(open=5.0, silent=5.0, dead=5.0, pauses=(0.05, 0.2))
ACKNOWLEDGED = {"sMsg": "", "tag": TAG, "ts": "1"}


def signed(text: str) -> str:
    return base64.b64encode(hmac.digest(SECRET, text.encode(), hashlib.sha256)).decode()


class Signer:
    """Signs as the signer's process does."""

    async def sign_request(self, *, timestamp: str, method: str, path: str, body: str) -> str:
        return signed(timestamp + method + path + body)

    async def sign_login(self, *, timestamp: int) -> str:
        return signed(f"{timestamp}GET/users/self/verify")


CREDENTIALS = Credentials(api_key=ApiKey(KEY, PASSPHRASE), signer=Signer())


@dataclass
class FarSide:
    """The far side; what it was asked, and what it does about it."""

    clock_off_ms: int = 0
    port: int = 0
    taken: list[dict[str, object]] = field(default_factory=list)
    """Orders that were taken, as their requests have them."""
    requested: list[str] = field(default_factory=list)
    orders: dict[str, dict[str, str]] = field(default_factory=dict)
    fills: list[dict[str, str]] = field(default_factory=list)
    lose_answer: bool = False
    refuse: str = ""
    status: int = 200
    raw: bytes | None = None
    mute: bool = False
    """Sockets are subscribed, and nothing is pushed."""
    logins: int = 0
    location: str = ""
    refuse_login: str = ""
    book_seq: int = 0
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    deadlines: list[int] = field(default_factory=list)
    reading: asyncio.Event | None = None
    """Questions about what was missed wait for it."""
    pinged: asyncio.Event = field(default_factory=asyncio.Event)
    being_read: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.clock_off_ms

    @property
    def venue(self) -> OkxVenue:
        return OkxVenue(
            rest_url=f"http://127.0.0.1:{self.port}",
            sockets=Endpoint(url=f"ws://127.0.0.1:{self.port}/ws/v5", patience=PATIENCE),
        )

    # ------------------------------------------------------------------------------------- REST

    async def rest(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        self.requested.append(f"{request.method} {request.path}")
        path = request.path_qs
        if not request.path.startswith(("/api/v5/public", "/api/v5/market")):
            refusal = self._unsigned(request, path, body)
            if refusal:
                return self._answer(refusal, status=401)
        if request.method == "POST":
            return await self._order(request, json.loads(body))
        return await self._question(request)

    def _unsigned(self, request: web.Request, path: str, body: str) -> str:
        at = request.headers["OK-ACCESS-TIMESTAMP"]
        reported_ms = datetime.fromisoformat(at).timestamp() * 1000
        if abs(reported_ms - self.now_ms) > 30_000:
            return "50102"
        if request.headers["OK-ACCESS-SIGN"] != signed(at + request.method + path + body):
            return "50113"
        right = (request.headers["OK-ACCESS-KEY"], request.headers["OK-ACCESS-PASSPHRASE"])
        return "" if right == (KEY, PASSPHRASE) else "50111"

    async def _order(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse:
        if self.raw is not None:
            headers = {"Location": self.location} if self.location else {}
            return web.Response(status=self.status, body=self.raw, headers=headers)
        if self.refuse:
            return self._answer(self.refuse, status=self.status)
        deadline = request.headers.get("expTime")
        row = self.take(request.path.rsplit("/", 1)[1], fields, deadline)
        if self.lose_answer:
            assert request.transport is not None
            request.transport.abort()
        return self._answer("0" if row["sCode"] == "0" else "1", row)

    def take(self, verb: str, fields: dict[str, str], deadline: str | None) -> dict[str, str]:
        """Do what a request asks for; return the row of its answer."""
        client = fields.get("clOrdId", "")
        if deadline is not None:
            self.deadlines.append(int(deadline))
            if int(deadline) < self.now_ms:
                return {**ACKNOWLEDGED, "sCode": "50036", "clOrdId": client, "ordId": ""}
        if verb in ("order", "place"):
            self.taken.append(dict(fields))
            order = {
                "instType": "SWAP", "instId": "BTC-USDT-SWAP", "ordId": str(7000 + len(self.taken)),
                "state": "live", "accFillSz": "0", "uTime": str(self.now_ms), "category": "normal",
                "fillSz": "0", "tradeId": "", "cTime": str(self.now_ms), **fields,
            }  # fmt: skip
            self.orders[client] = order
            return {**ACKNOWLEDGED, "sCode": "0", "clOrdId": client, "ordId": order["ordId"]}
        found = next((o for o in self.orders.values() if client == o["clOrdId"]
                      or fields.get("ordId") == o["ordId"]), None)  # fmt: skip
        if found is None:
            return {**ACKNOWLEDGED, "sCode": "51400", "clOrdId": client, "ordId": ""}
        found["state"] = "canceled"
        return {**ACKNOWLEDGED, "sCode": "0", "clOrdId": client, "ordId": found["ordId"]}

    async def _question(self, request: web.Request) -> web.Response:
        match request.path.removeprefix("/api/v5/"):
            case "public/time":
                return self._answer("0", {"ts": str(self.now_ms)})
            case "public/instruments":
                of = request.query["instType"]
                return self._answer("0", *(r for r in LISTED if r["instType"] == of))
            case "market/books":
                self.book_seq += 1
                return self._answer("0", self.book(self.book_seq, bids=[["100", "9", "0", "1"]]))
            case "trade/order":
                requested = (request.query.get("clOrdId"), request.query.get("ordId"))
                found = [o for o in self.orders.values() if o["clOrdId"] == requested[0]
                         or o["ordId"] == requested[1]]  # fmt: skip
                return self._answer("0", *found) if found else self._answer("51603")
            case "trade/orders-pending":
                self.being_read.set()
                if self.reading is not None:
                    await self.reading.wait()
                return self._answer("0", *(o for o in self.orders.values() if o["state"] == "live"))
            case "trade/orders-history":
                # Its window is by when an order was made, not by when it ended.
                since, kind = int(request.query["begin"]), request.query["instType"]
                ended = [
                    order
                    for order in self.orders.values()
                    if order["state"] in ("filled", "canceled")
                    and order["instType"] == kind
                    and int(order.get("cTime", "0")) >= since
                ]
                return self._answer("0", *ended)
            case "trade/fills":
                since = int(request.query["begin"])
                return self._answer("0", *(f for f in self.fills if int(f["ts"]) >= since))
            case "account/balance":
                detail = {"ccy": "USDT", "cashBal": "1000", "availBal": "900"}
                return self._answer("0", {"uTime": "1", "details": [detail]})
            case _:
                return self._answer("0")

    def _answer(self, code: str, *rows: object, status: int = 200) -> web.Response:
        return web.json_response({"code": code, "msg": "", "data": list(rows)}, status=status)

    # ---------------------------------------------------------------------------------- sockets

    async def socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            if message.data == "ping":
                self.pinged.set()
                if not self.mute:
                    await socket.send_str("pong")
                continue
            await self._frame(socket, json.loads(message.data))
        return socket

    async def _frame(self, socket: web.WebSocketResponse, frame: dict[str, object]) -> None:
        match frame["op"]:
            case "login":
                await self._login(socket, frame)
            case "subscribe" | "unsubscribe":
                for arg in frame["args"]:  # type: ignore[attr-defined]
                    await socket.send_json({"event": frame["op"], "arg": arg})
                    if frame["op"] == "subscribe" and arg["channel"] == "books" and not self.mute:
                        await self.push_book(snapshot=True)
            case op:
                fields = _first(frame)
                self.requested.append(f"socket {op}")
                row = self.take(
                    str(op), fields, str(frame["expTime"]) if "expTime" in frame else None
                )
                if self.lose_answer:
                    await socket.close()
                    return
                code = "0" if row["sCode"] == "0" else "1"
                answer = {"id": frame["id"], "op": op, "code": code, "msg": "", "data": [row]}
                await socket.send_json(answer)

    async def _login(self, socket: web.WebSocketResponse, frame: dict[str, object]) -> None:
        self.logins += 1
        arg = _first(frame)
        code = self.refuse_login
        self.refuse_login = ""
        if abs(int(arg["timestamp"]) * 1000 - self.now_ms) > 30_000:
            code = "60006"
        elif arg["sign"] != signed(f"{arg['timestamp']}GET/users/self/verify"):
            code = "60007"
        event = {"event": "error" if code else "login", "code": code or "0", "msg": ""}
        await socket.send_json(event)

    async def push(self, channel: str, *rows: object, action: str = "", **more: str) -> None:
        """Push rows of a channel to whoever is connected."""
        for socket in self.sockets:
            if not socket.closed:
                frame: dict[str, object] = {"arg": {"channel": channel, **more}, "data": list(rows)}
                await socket.send_json({**frame, "action": action} if action else frame)

    async def push_order(self, client: str, **change: str) -> None:
        """Change an order and push it."""
        self.orders[client].update(change, uTime=str(self.now_ms))
        await self.push("orders", self.orders[client], instType="ANY")

    def fill(self, client: str, trade_id: str, *, ago_ms: int = 0) -> None:
        """Fill an order completely, in silence."""
        order = self.orders[client]
        self.fills.append(
            {
                "instType": "SWAP", "instId": "BTC-USDT-SWAP", "tradeId": trade_id, "tag": TAG,
                "ordId": order["ordId"], "clOrdId": client, "billId": trade_id, "execType": "M",
                "fillPx": order["px"], "fillSz": order["sz"], "side": order["side"],
                "fee": "-0.01", "feeCcy": "USDT", "ts": str(self.now_ms - ago_ms),
            }
        )  # fmt: skip
        order.update(state="filled", accFillSz=order["sz"], uTime=str(self.now_ms))

    def book(self, seq: int, prev: int = -1, **sides: list[list[str]]) -> dict[str, object]:
        return {"asks": [], "bids": [], **sides, "ts": "1", "checksum": 0, "seqId": seq,
                "prevSeqId": prev}  # fmt: skip

    async def push_book(self, *, snapshot: bool = False, skip: int = 0) -> None:
        """Push the next change of the book, after so many that nobody hears of."""
        prev = self.book_seq + skip
        self.book_seq = prev + 1
        row = self.book(
            self.book_seq, -1 if snapshot else prev, bids=[["100", str(self.book_seq), "0", "1"]]
        )
        action = "snapshot" if snapshot else "update"
        await self.push("books", row, instId="BTC-USDT-SWAP", action=action)

    async def drop(self) -> None:
        """End all connections, without a word."""
        for socket in self.sockets:
            await socket.close()


def _first(frame: dict[str, object]) -> dict[str, str]:
    args = frame["args"]
    assert isinstance(args, list)
    first = args[0]
    assert isinstance(first, dict)
    return first


LISTED = (SPOT, SWAP, INVERSE, FUTURE)


@asynccontextmanager
async def far_side() -> AsyncIterator[FarSide]:
    """Serve a far side on loopback for the length of the block."""
    side = FarSide()
    app = web.Application()
    app.router.add_get("/ws/v5/{path}", side.socket)
    app.router.add_route("*", "/api/v5/{path:.*}", side.rest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    side.port = runner.addresses[0][1]
    try:
        yield side
    finally:
        await side.drop()
        await runner.cleanup()
