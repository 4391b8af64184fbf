"""HTTP as ClickHouse speaks it: a query a request, parameters beside it, roles by header.

`reader` may only read, under limits that the engine keeps and that it cannot change; `writer` and
`admin` may do everything. `POST /paper/fault` switches a fault on for one role: away, slow, wrong
types, empty, none; `admin` has none.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import msgspec
from aiohttp import web

from paper.clickhouse import engine

READER, WRITER, ADMIN = "reader", "writer", "admin"
PASSWORD = "paper"  # noqa: S105 - of nobody's server
Fault = Literal["none", "away", "slow", "wrong types", "empty"]
_CODE = re.compile(r"Code: ([0-9]+)")
_LIMITS = "max_execution_time = 10, max_result_rows = 1000000, result_overflow_mode = 'throw'"


class _Order(msgspec.Struct, frozen=True):
    user: Literal["reader", "writer"]
    fault: Fault
    seconds: float = 30.0


@dataclass(slots=True)
class Journal:
    """All questions: role and query, and the code of the engine's refusal or 0."""

    requested: list[tuple[str, str, int]] = field(default_factory=list)


class Server:
    """One server on one directory.

    Args:
        directory: of its data.
    """

    def __init__(self, directory: Path) -> None:
        self._worker = ThreadPoolExecutor(1, "clickhouse")
        writer, reader = (engine.connect(str(directory)) for _ in range(2))
        engine.execute(reader, f"set {_LIMITS}")
        engine.execute(reader, "set readonly = 1")
        self._sessions = {READER: reader, WRITER: writer, ADMIN: writer}
        self._faults: dict[str, _Order] = {}
        self.journal = Journal()

    def app(self) -> web.Application:
        """Return what is served."""
        app = web.Application(client_max_size=1 << 28)
        app.add_routes(
            [
                web.get("/ping", self._ping),
                web.post("/paper/fault", self._switch),
                web.get("/paper/journal", self._reported),
                web.post("/", self._query),
            ]
        )
        return app

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _switch(self, request: web.Request) -> web.Response:
        try:
            order = msgspec.json.decode(await request.read(), type=_Order)
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=f"{error}; faults: {get_args(Fault)}")
        self._faults[order.user] = order
        return web.Response(status=204)

    async def _reported(self, _: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self.journal.requested))

    async def _query(self, request: web.Request) -> web.StreamResponse:
        user = request.headers.get("X-ClickHouse-User", "default")
        if user not in self._sessions or request.headers.get("X-ClickHouse-Key") != PASSWORD:
            return _refused(user, "Code: 516. DB::Exception: Authentication failed", 403)
        sql = (await request.read()).decode()
        fault = self._faults.get(user)
        if fault is not None and fault.fault == "slow":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.fault == "away":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        params = {k[6:]: v for k, v in request.query.items() if k.startswith("param_")}
        others = set(request.query) - {f"param_{name}" for name in params} - {"wait_end_of_query"}
        if user == READER and others:
            text = f"Code: 164. DB::Exception: Cannot modify '{min(others)}' in readonly mode"
            return _refused(user, text, 500)
        return await self._answer(user, sql, params, fault)

    async def _answer(
        self, user: str, sql: str, params: dict[str, str], fault: _Order | None
    ) -> web.Response:
        loop, session = asyncio.get_running_loop(), self._sessions[user]
        try:
            body = await loop.run_in_executor(self._worker, engine.execute, session, sql, params)
        except engine.EngineError as error:
            code = _CODE.search(str(error))
            self.journal.requested.append((user, sql[:2000], int(code[1]) if code else -1))
            return _refused(user, str(error), 500)
        self.journal.requested.append((user, sql[:2000], 0))
        if fault is not None and fault.fault == "empty":
            body = b""
        if fault is not None and fault.fault == "wrong types":
            lines = [msgspec.json.decode(line, type=dict[str, str]) for line in body.splitlines()]
            body = b"\n".join(msgspec.json.encode(dict.fromkeys(line, "?")) for line in lines)
        return web.Response(body=body)


def _refused(user: str, text: str, status: int) -> web.Response:
    code = _CODE.search(text)
    headers = {"X-ClickHouse-Exception-Code": code[1]} if code else {}
    return web.Response(status=status, text=f"{text} (as {user})\n", headers=headers)
