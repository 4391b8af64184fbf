"""The REST port: each request is believed, journalled, counted, done, told, and answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
import structlog
from aiohttp import web

from paper.okx.call import Call, Route
from paper.okx.core.auth import Key, Unauthorized, check_request
from paper.okx.core.codes import Refusal
from paper.okx.core.faults import Fault
from paper.okx.core.limits import Limits
from paper.okx.desk import Desk
from paper.okx.hub import Hub
from paper.okx.journal import Entry, Journal
from paper.okx.publisher import Publisher
from paper.okx.sockets import refusal_of
from paper.okx.wire.envelope import Json, failed, operations, turned_away

MAX_BODY = 256 * 1024

_log = structlog.get_logger("okx")


class Server:
    """Serves routes."""

    def __init__(
        self,
        *,
        keys: dict[str, Key],
        desk: Desk,
        limits: Limits,
        journal: Journal,
        publisher: Publisher,
        hub: Hub,
        faults: Callable[[str, str], Fault | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._keys = keys
        self._desk = desk
        self._limits = limits
        self._journal = journal
        self._publisher = publisher
        self._hub = hub
        self._faults = faults
        self._now_ms = now_ms
        self._late: set[asyncio.Task[None]] = set()

    def application(self, routes: Sequence[Route], more: Sequence[web.RouteDef]) -> web.Application:
        """The aiohttp application of routes, and of others that answer by themselves."""
        app = web.Application(middlewares=[_refuse_unrouted], client_max_size=MAX_BODY)
        app.router.add_routes(list(more))
        for route in routes:
            app.router.add_route(route.method, route.path, partial(self._serve, route=route))
        return app

    def stop(self) -> None:
        """Do nothing that is still held by a fault."""
        for task in self._late:
            task.cancel()

    async def _serve(self, request: web.Request, *, route: Route) -> web.StreamResponse:
        arrived_ns = time.time_ns()
        text = (await request.read()).decode(errors="replace")
        key: Key | None = None
        if route.private:
            try:
                key = check_request(
                    self._keys,
                    request.headers,
                    method=request.method,
                    path=request.raw_path,
                    body=text,
                    now_ms=self._now_ms(),
                )
            except Unauthorized as error:
                self._note(request, "", text, arrived_ns, 401, error.code)
                return _answer(turned_away(error.code, error.message), 401)
        account = "" if key is None else key.account
        path = request.path
        fault = self._faults(route.op or path, path) if route.private else None
        try:
            body = json.loads(text) if text else None
        except ValueError:
            self._note(request, account, text, arrived_ns, 400, "50002")
            return _answer(turned_away("50002", "JSON syntax error"), 400)
        entry = self._journal.requested(
            at_ns=arrived_ns,
            account=account,
            via="rest",
            what=f"{request.method} {request.raw_path}",
            body=body,
            fault="" if fault is None else fault.kind,
        )
        do = partial(self._perform, request, route, key, body, arrived_ns)
        if fault is None:
            return self._reply(entry, *do())
        return await self._misbehave(request, route, body, entry, fault, do)

    def _perform(
        self, request: web.Request, route: Route, key: Key | None, body: object, arrived_ns: int
    ) -> tuple[Json, int]:
        now_ms = self._now_ms()
        try:
            if route.trade and key is not None and "trade" not in key.permissions:
                reason = "API key doesn't have permission to use this function."
                return turned_away("50120", reason), 401
            expires = _expires(request, arrived_ns // 1_000_000) if route.trade else None
            who = request.remote if key is None else key.account
            if self._too_many(route, who, now_ms):
                return turned_away("50011", "Too Many Requests"), 429
            call = Call(
                key=key,
                query=dict(request.query),
                body=body,
                expires_ms=expires,
                arrived_ns=arrived_ns,
                now_ms=now_ms,
            )
            return route.handler(call), 200
        except Refusal as refusal:
            if refusal.code == "50011":
                return turned_away(refusal.code, "Too Many Requests"), 429
            status = 400 if refusal.code in ("50014", "50036") else 200
            return failed(refusal.code, refusal.message), status
        except Exception:  # noqa: BLE001 - whatever went wrong, the client gets the exchange's shape
            _log.error("a request failed", path=request.path, exc_info=True)
            return failed("50026", "System error. Try again later"), 500
        finally:
            self._publisher.flush(now_ms)

    def _too_many(self, route: Route, who: str | None, now_ms: int) -> bool:
        if route.limit is None or not self._desk.limited:
            return False
        return not self._limits.allows((who, route.path), route.limit, now_ms)

    async def _misbehave(
        self,
        request: web.Request,
        route: Route,
        body: object,
        entry: Entry,
        fault: Fault,
        do: Callable[[], tuple[Json, int]],
    ) -> web.StreamResponse:
        match fault.kind:
            case "delay":
                await asyncio.sleep(fault.ms / 1000)
                return self._reply(entry, *do())
            case "late":
                self._later(fault.ms, do)
                return self._reply(entry, failed("50004", "API endpoint request timeout"), 400)
            case "reject":
                return self._reply(entry, *self._rejected(route, body, fault, entry.at_ns))
            case "limit" | "sub_limit":
                return self._reply(entry, turned_away(*refusal_of(fault)), 429)
            case "status":
                return self._reply(entry, turned_away(*refusal_of(fault)), fault.status)
            case "lose" | "disconnect":
                do()
                if fault.kind == "disconnect":
                    self._hub.drop(entry.account)
        return _cut(request)

    def _rejected(
        self, route: Route, body: object, fault: Fault, arrived_ns: int
    ) -> tuple[Json, int]:
        if not route.op:
            return failed(fault.code, "System error. Try again later"), 200
        rows = [
            one for one in (body if isinstance(body, list) else [body]) if isinstance(one, dict)
        ]
        results = self._desk.refused(route.op, rows, fault.code, self._now_ms())
        return operations(results, arrived_ns // 1000, time.time_ns() // 1000), 200

    def _later(self, ms: int, do: Callable[[], tuple[Json, int]]) -> None:
        async def after() -> None:
            await asyncio.sleep(ms / 1000)
            do()

        task = asyncio.create_task(after())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _reply(self, entry: Entry, answer: Json, status: int) -> web.Response:
        self._journal.answered(
            entry, at_ns=time.time_ns(), status=status, code=str(answer["code"]), answer=answer
        )
        return _answer(answer, status)

    def _note(
        self, request: web.Request, account: str, text: str, at_ns: int, status: int, code: str
    ) -> None:
        entry = self._journal.requested(
            at_ns=at_ns,
            account=account,
            via="rest",
            what=f"{request.method} {request.raw_path}",
            body=text,
        )
        self._journal.answered(entry, at_ns=time.time_ns(), status=status, code=code, answer=None)


def _answer(answer: Json, status: int) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(answer), content_type="application/json"
    )


def _expires(request: web.Request, arrived_ms: int) -> int | None:
    """Return the header `expTime`. Raises Refusal when it had passed when the request came."""
    text = request.headers.get("expTime", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or arrived_ms > int(text):
        raise Refusal("50036")
    return int(text)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@web.middleware
async def _refuse_unrouted(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    wrong = request.match_info.http_exception
    if wrong is not None:
        said = {"error_code": str(wrong.status), "error_message": wrong.reason, "msg": wrong.reason}
        # The code of this one is a number at the real one, too.
        body = msgspec.json.encode({"code": wrong.status, "data": {}, "detailMsg": "", **said})
        return web.Response(status=wrong.status, body=body, content_type="application/json")
    return await handler(request)
