"""The public port: every request is read, probed, journalled, answered, and the answer recorded.

Handlers (`handlers.py`) turn a call into an answer; around them this performs the faults that the
control port asked for. Nothing leaves before the journal and the deed are durable.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog
from aiohttp import web

from paper.insiders.control_state import ControlState
from paper.insiders.core.faults import Fault, FaultPlan, Route
from paper.insiders.core.model import Rejection
from paper.insiders.core.requests import invalid, parse_key
from paper.insiders.misbehave import SILENT, send
from paper.insiders.probe import LedgerProbe
from paper.insiders.store import Store
from paper.insiders.tables import journal
from paper.insiders.wire import Answer, refuse

MAX_BODY = 64 * 1024
"""Longest request body in bytes."""

_log = structlog.get_logger("insiders")
_ORDERS: frozenset[Route] = frozenset({"buy", "sell"})
_KEYED: frozenset[Route] = _ORDERS | {"redeem"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as a handler sees it."""

    match: web.UrlMappingMatchInfo
    journal_id: int
    key: str | None
    """The header Idempotency-Key, unchecked."""
    body: bytes
    body_sha256: str
    arrived_ms: int
    plan: FaultPlan
    late: bool = False
    """It was held up by a fault and knows no time limit of its own."""


Handler = Callable[[Call], Awaitable[Answer]]


class Server:
    """Serves handlers on the public port."""

    def __init__(self, *, store: Store, reported: ControlState, probe: LedgerProbe | None) -> None:
        self._store = store
        self._reported = reported
        self._probe = probe
        self._last_id = 0
        self._busy: set[tuple[bool, str]] = set()
        self._late: set[asyncio.Task[Answer]] = set()

    async def start(self) -> None:
        """Go on counting where the journal ends."""
        self._last_id = await self._store.run(journal.last_id)

    async def stop(self) -> None:
        """Drop the requests that are still on their way."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    def application(self, routes: list[tuple[str, str, Route, Handler]]) -> web.Application:
        """The aiohttp application of (method, path, route, handler) and `/health`."""
        app = web.Application(middlewares=[self._refuse_unrouted], client_max_size=MAX_BODY)
        app.router.add_get("/health", _health)
        for method, path, route, handler in routes:
            app.router.add_route(method, path, partial(self._serve, route=route, handler=handler))
        return app

    @web.middleware
    async def _refuse_unrouted(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        wrong = request.match_info.http_exception
        if wrong is None:
            return await handler(request)
        code = "METHOD_NOT_ALLOWED" if wrong.status == 405 else "NOT_FOUND"
        rejection = Rejection(wrong.status, code, "there is no such route")
        return await self._serve(request, route="any", handler=_refusing(rejection))

    async def _serve(
        self, request: web.Request, *, route: Route, handler: Handler
    ) -> web.StreamResponse:
        arrived_ns = time.time_ns()
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body = b""
            handler = _refusing(invalid("body", f"is longer than {MAX_BODY} bytes"))
        key = request.headers.get("Idempotency-Key")
        digest = hashlib.sha256(body).hexdigest()
        ledger = await self._ask_ledger(route, key, digest)
        text = body.decode(errors="backslashreplace")
        plan = self._reported.next_plan(route, text)
        self._last_id += 1
        call = Call(
            match=request.match_info,
            journal_id=self._last_id,
            key=key,
            body=body,
            body_sha256=digest,
            arrived_ms=arrived_ns // 1_000_000,
            plan=plan,
        )
        requested = journal.RequestRecord(
            journal_id=call.journal_id,
            arrived_ns=arrived_ns,
            method=request.method,
            path=request.path,
            key=request.match_info.get("key", key),
            body_sha256=digest,
            body=text,
            ledger=ledger,
            fault=plan.names,
        )
        # Not awaited yet: the store keeps the order, and the acceptance can share its commit.
        written = self._store.submit(lambda db: journal.insert_requested(db, requested))
        answer, fault = await self._perform(call, route, handler)
        await asyncio.gather(written, self._record(call, answer, fault))
        return await send(request, answer, fault)

    async def _ask_ledger(self, route: Route, key: str | None, digest: str) -> bool | None:
        if self._probe is None or route not in _ORDERS or key is None:
            return None
        return await self._probe.committed(key, digest)

    async def _record(self, call: Call, answer: Answer, fault: Fault | None) -> None:
        if fault is not None and fault.kind in SILENT:
            return
        status = 200 if fault is not None and fault.kind == "malformed" else answer.status
        answered_ns = time.time_ns()
        await self._store.run(
            lambda db: journal.note_answer(
                db, call.journal_id, status=status, code=answer.code, answered_ns=answered_ns
            )
        )

    async def _perform(
        self, call: Call, route: Route, handler: Handler
    ) -> tuple[Answer, Fault | None]:
        """The answer and the fault that shapes it."""
        held = self._hold(call, route)
        if isinstance(held, Rejection):
            return refuse(held), None
        try:
            before = call.plan.before
            if before is not None and before.kind != "delay":
                return self._instead(call, before, handler), before
            await _pause(before)
            answer = await _answer(handler, call)
            after = call.plan.after
            await _pause(after)
            if after is not None and after.kind == "status":
                answer = _fault_answer(after)
            return answer, after
        finally:
            if held is not None:
                self._busy.discard(held)

    def _hold(self, call: Call, route: Route) -> tuple[bool, str] | Rejection | None:
        """Mark a key as being processed (capability A); what is late holds nothing."""
        before = call.plan.before
        late = before is not None and before.kind == "late_accept"
        if late or route not in _KEYED or not self._reported.capabilities.idempotency:
            return None
        try:
            held = (route in _ORDERS, parse_key(call.key, field="Idempotency-Key"))
        except Rejection as rejection:
            return rejection
        if held in self._busy:
            reason = "a request with this key is being processed"
            return Rejection(409, "IN_PROGRESS", reason, retry_after_ms=100)
        self._busy.add(held)
        return held

    def _instead(self, call: Call, fault: Fault, handler: Handler) -> Answer:
        """Return what is answered by a fault that keeps the request from being accepted (now)."""
        if fault.kind == "late_accept":
            task = asyncio.create_task(_answer_late(handler, call, fault))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return _fault_answer(fault)
        if fault.kind == "rate_limit":
            reason = "too many requests"
            return refuse(Rejection(429, "RATE_LIMITED", reason, retry_after_ms=fault.ms))
        if fault.kind == "status":
            return _fault_answer(fault)
        return refuse(Rejection(502, "UPSTREAM", "nothing behind this service answered"))


async def _answer(handler: Handler, call: Call) -> Answer:
    try:
        return await handler(call)
    except Rejection as rejection:
        return refuse(rejection)
    except Exception:  # noqa: BLE001 - whatever went wrong, the caller gets the one error shape
        _log.error("a request failed", journal_id=call.journal_id, exc_info=True)
        return refuse(Rejection(500, "INTERNAL", "the request could not be processed"))


async def _answer_late(handler: Handler, call: Call, fault: Fault) -> Answer:
    await _pause(fault)
    late = Call(
        match=call.match,
        journal_id=call.journal_id,
        key=call.key,
        body=call.body,
        body_sha256=call.body_sha256,
        arrived_ms=call.arrived_ms,
        plan=call.plan,
        late=True,
    )
    return await _answer(handler, late)


async def _pause(fault: Fault | None) -> None:
    if fault is not None and fault.kind in ("delay", "late_accept"):
        await asyncio.sleep(fault.ms / 1000)


def _fault_answer(fault: Fault) -> Answer:
    return refuse(Rejection(fault.status, fault.code, "a fault was asked for"))


def _refusing(rejection: Rejection) -> Handler:
    async def refusing(_: Call) -> Answer:
        return refuse(rejection)

    return refusing


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
