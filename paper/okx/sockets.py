"""The web sockets: login, subscriptions, and orders by socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from contextlib import suppress

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from paper.okx.core.auth import Key, Unauthorized, check_login
from paper.okx.core.codes import Refusal
from paper.okx.core.faults import Fault
from paper.okx.desk import BATCH, OPERATIONS, Desk
from paper.okx.hub import Arg, Connection, Hub
from paper.okx.journal import Journal
from paper.okx.publisher import Publisher
from paper.okx.stats import BARS
from paper.okx.wire.envelope import Json, operations
from tradingtools.tasks import run_in_background

IDLE_S = 30.0
"""A connection over which nothing went for so long, either way, is closed."""
_INBOUND = 64 * 1024

BY_INSTRUMENT = frozenset(
    {
        "books",
        "books5",
        "bbo-tbt",
        "tickers",
        "trades",
        "mark-price",
        "index-tickers",
        "funding-rate",
        "price-limit",
    }
)
BY_KIND = frozenset({"instruments", "liquidation-orders"})
PRIVATE = frozenset(
    {"account", "positions", "balance_and_position", "orders", "fills", "liquidation-warning"}
)
BUSINESS = frozenset({"trades-all", *(f"candle{bar}" for bar in BARS)})
_WITH_KIND = frozenset({"orders", "positions", "liquidation-warning"})


class _Message(msgspec.Struct):
    op: str
    args: list[dict[str, object]] = []
    id: str = ""
    expTime: str | int = ""


class Sockets:
    """Serves `/ws/v5/public`, `/ws/v5/private` and `/ws/v5/business`."""

    def __init__(
        self,
        *,
        hub: Hub,
        desk: Desk,
        publisher: Publisher,
        journal: Journal,
        keys: dict[str, Key],
        faults: Callable[[str, str], Fault | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._hub = hub
        self._desk = desk
        self._publisher = publisher
        self._journal = journal
        self._keys = keys
        self._faults = faults
        self._now_ms = now_ms
        self._late: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """The routes of the three sockets."""
        return [
            web.get(f"/ws/v5/{path}", self._serve) for path in ("public", "private", "business")
        ]

    def stop(self) -> None:
        """Do nothing that is still held by a fault."""
        for task in self._late:
            task.cancel()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse(compress=False, max_msg_size=_INBOUND)
        await response.prepare(request)
        path = request.path.rpartition("/")[2]
        connection = self._hub.opened(response, request)
        async with run_in_background(connection.write()):
            try:
                while True:
                    message = await _received(response, connection)
                    if message.type is not WSMsgType.TEXT:
                        break
                    self._on_text(connection, path, str(message.data))
            except TimeoutError:
                with suppress(ConnectionError):
                    await response.close(code=4004, message=b"No data received in 30s.")
            finally:
                self._hub.closed(connection)
        return response

    def _on_text(self, connection: Connection, path: str, text: str) -> None:
        if text == "ping":
            connection.push("pong")
            return
        try:
            message = msgspec.json.decode(text, type=_Message)
        except msgspec.DecodeError:
            self._error(connection, "60012", f"Invalid request: {text}")
            return
        if message.op == "login":
            self._login(connection, message)
        elif message.op in ("subscribe", "unsubscribe"):
            for arg in message.args:
                self._subscribe(connection, path, message, arg)
        elif message.op in OPERATIONS:
            self._operate(connection, path, message)
        else:
            self._error(connection, "60012", f"Invalid request: {text}")

    def _login(self, connection: Connection, message: _Message) -> None:
        arg: dict[str, object] = message.args[0] if message.args else {}
        try:
            connection.key = check_login(self._keys, arg, self._now_ms())
        except Unauthorized as error:
            self._error(connection, error.code, error.message)
            return
        connection.say({"event": "login", "code": "0", "msg": "", "connId": connection.conn_id})

    def _subscribe(
        self, connection: Connection, path: str, message: _Message, given: dict[str, object]
    ) -> None:
        arg = {name: str(value) for name, value in given.items()}
        channel = arg.get("channel", "")
        topic = self._topic(connection, path, channel, arg)
        if not isinstance(topic, tuple):
            self._error(connection, topic, _WHY[topic].format(encode_arg(arg)), message.id)
            return
        reply: Json = {"event": message.op, "arg": arg, "connId": connection.conn_id}
        connection.say({**reply, "id": message.id} if message.id else reply)
        if message.op == "unsubscribe":
            self._hub.unsubscribe(connection, topic, arg)
            return
        self._hub.subscribe(connection, topic, arg)
        self._publisher.greet(connection, channel, arg, self._now_ms())

    def _topic(
        self, connection: Connection, path: str, channel: str, arg: Arg
    ) -> tuple[Hashable, ...] | str:
        """Return the topic of a subscription, or the code of its refusal."""
        if channel in PRIVATE:
            if path != "private":
                return "60018"
            if connection.key is None:
                return "60011"
            if channel == "fills":
                return "60029"
            if channel in _WITH_KIND and arg.get("instType") not in _KINDS:
                return "60018"
            return (channel, connection.key.account)
        if channel in BY_KIND and path == "public" and arg.get("instType") in _KINDS:
            return (channel, arg["instType"])
        known = (channel in BY_INSTRUMENT and path == "public") or (
            channel in BUSINESS and path == "business"
        )
        if known and self._exists(channel, arg.get("instId", "")):
            return (channel, arg["instId"])
        return "60018"

    def _exists(self, channel: str, inst_id: str) -> bool:
        if channel == "index-tickers":
            return self._publisher.has_index(inst_id)
        return self._publisher.has_instrument(inst_id)

    def _operate(self, connection: Connection, path: str, message: _Message) -> None:
        arrived_ns = time.time_ns()
        key = connection.key
        if key is None or path != "private":
            self._error(connection, "60011", "Please log in", message.id)
            return
        op = OPERATIONS[message.op]
        fault = self._faults(op, path)
        entry = self._journal.requested(
            at_ns=arrived_ns,
            account=key.account,
            via=connection.conn_id,
            what=message.op,
            body=message.args,
            fault="" if fault is None else fault.kind,
        )

        def answer(reply: Json) -> None:
            reply = {"id": message.id, "op": message.op, **reply}
            self._journal.answered(
                entry, at_ns=time.time_ns(), status=0, code=str(reply["code"]), answer=reply
            )
            connection.say(reply)

        def perform() -> Json:
            return self._perform(key, message, op, arrived_ns)

        if fault is None:
            answer(perform())
        else:
            self._misbehave(connection, message, op, fault, answer, perform)

    def _perform(self, key: Key, message: _Message, op: str, arrived_ns: int) -> Json:
        now_ms = self._now_ms()
        expires = str(message.expTime)
        batch = message.op.startswith("batch-")
        try:
            if "trade" not in key.permissions:
                raise _Denied
            if not message.args or len(message.args) > (BATCH if batch else 1):
                return _whole("60013", "Invalid args", arrived_ns)
            if expires and (not expires.isdigit() or arrived_ns // 1_000_000 > int(expires)):
                raise Refusal("50036")
            rows = self._desk.run(
                key.account,
                op,
                message.args,
                now_ms,
                batch=batch,
                expires_ms=int(expires) if expires else None,
            )
        except _Denied:
            reason = "API key doesn't have permission to use this function."
            return _whole("50120", reason, arrived_ns)
        except Refusal as refusal:
            return _whole(refusal.code, refusal.message, arrived_ns)
        finally:
            self._publisher.flush(now_ms)
        return operations(rows, arrived_ns // 1000, time.time_ns() // 1000)

    def _misbehave(
        self,
        connection: Connection,
        message: _Message,
        op: str,
        fault: Fault,
        answer: Callable[[Json], None],
        perform: Callable[[], Json],
    ) -> None:
        arrived_ns = time.time_ns()
        if fault.kind in ("delay", "late"):
            if fault.kind == "late":
                answer(_whole("50004", "API endpoint request timeout", arrived_ns))
            self._later(fault.ms, answer if fault.kind == "delay" else None, perform)
        elif fault.kind == "reject":
            rows = self._desk.refused(op, message.args, fault.code, self._now_ms())
            answer(operations(rows, arrived_ns // 1000, time.time_ns() // 1000))
        elif fault.kind in ("limit", "sub_limit", "status"):
            answer(_whole(*refusal_of(fault), arrived_ns))
        elif fault.kind in ("lose", "disconnect"):
            perform()
        if fault.kind == "disconnect" and connection.key is not None:
            self._hub.drop(connection.key.account)

    def _later(
        self, ms: int, answer: Callable[[Json], None] | None, perform: Callable[[], Json]
    ) -> None:
        async def do() -> None:
            await asyncio.sleep(ms / 1000)
            reply = perform()
            if answer is not None:
                answer(reply)

        task = asyncio.create_task(do())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _error(self, connection: Connection, code: str, message: str, number: str = "") -> None:
        reply: Json = {
            "event": "error",
            "code": code,
            "msg": message,
            "connId": connection.conn_id,
        }
        connection.say({**reply, "id": number} if number else reply)


async def _received(response: web.WebSocketResponse, connection: Connection) -> WSMessage:
    """Return what a client says next. Raises TimeoutError: nobody has said anything for long."""
    while True:
        try:
            return await response.receive(timeout=IDLE_S)
        except TimeoutError:
            if not connection.pushed_since():
                raise


class _Denied(Exception):
    """The key may not trade."""


_KINDS = frozenset({"SPOT", "SWAP", "FUTURES", "MARGIN", "OPTION", "ANY"})
_WHY = {
    "60011": "Please log in",
    "60018": "Wrong URL or {0} doesn't exist. Please use the correct URL, channel and parameters"
    " referring to API document.",
    "60029": "Only users who are VIP5 and above in trading fee tier are allowed to subscribe to"
    " fills channel",
}


def encode_arg(arg: Arg) -> str:
    """A subscription as the exchange writes it into an error."""
    return ",".join(f"{name}:{value}" for name, value in arg.items())


def refusal_of(fault: Fault) -> tuple[str, str]:
    """Code and sentence of a fault that refuses the whole request."""
    if fault.kind == "limit":
        return "50011", "Too Many Requests"
    if fault.kind == "sub_limit":
        refusal = Refusal("50061")
        return refusal.code, refusal.message
    return "50001", "Service temporarily unavailable. Try again later"


def _whole(code: str, message: str, arrived_ns: int) -> Json:
    return {
        "code": code,
        "data": [],
        "inTime": str(arrived_ns // 1000),
        "msg": message,
        "outTime": str(time.time_ns() // 1000),
    }
