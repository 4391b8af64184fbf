"""The way of every request: its fault, the journal, and refusals in the venue's form."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from paper.clob.core.auth import ApiKey
from paper.clob.core.values import Refusal
from paper.clob.faults import UNANSWERED, Fault
from paper.clob.venue import Venue

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def reply(body: object, status: int = 200) -> web.Response:
    """Return JSON; numbers given as raw text stay as they are."""
    raw = msgspec.json.encode(body)
    return web.Response(body=raw, status=status, content_type="application/json")


def refused(refusal: Refusal) -> web.Response:
    """Return a refusal as the venue answers it."""
    more = dict(refusal.more)
    wait = more.pop("retry_after", None)
    answer = reply({"error": refusal.text} | more, refusal.status)
    if wait is not None:
        answer.headers["Retry-After"] = str(wait)
    return answer


async def authorized(venue: Venue, request: web.Request) -> ApiKey:
    """Return the API key of a request. Raises Refusal."""
    return venue.keys.l2(
        request.headers,
        method=request.method,
        path=request.path,
        body=await request.read(),
        now_ms=venue.clock_ms(),
    )


def wire(venue: Venue) -> Middleware:
    """Return what stands around every handler of the exchange."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        if "upgrade" in request.headers:
            return await handler(request)
        await request.read()
        fault = venue.faults.take(request.method, request.path)
        lost = fault is not None and fault.kind in UNANSWERED
        if fault is not None and fault.kind == "hold":
            _cut(request)
            await venue.faults.released.wait()
        answer = await _done(request, handler, fault)
        venue.journal.add(
            at_ms=venue.now_ms(),
            method=request.method,
            path=request.path,
            query=request.query_string,
            signer=request.headers.get("POLY_ADDRESS", ""),
            body=(await request.read()).decode("utf-8", "replace"),
            status=0 if lost else answer.status,
            answer=(answer.body or b"").decode() if isinstance(answer.body, bytes) else "",
            fault=fault.kind if fault else "",
        )
        if lost:
            _cut(request)
        return answer

    return around


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _done(request: web.Request, handler: Handler, fault: Fault | None) -> web.Response:
    if fault is None:
        return await _answer(request, handler)
    match fault.kind:
        case "drop":
            return web.Response()
        case "status":
            return web.Response(status=fault.status, text=fault.body)
        case "late":
            await asyncio.sleep(fault.ms / 1000)
            return await _answer(request, handler)
        case "twice":
            await _answer(request, handler)
            return await _answer(request, handler)
        case "lose" | "hold":
            return await _answer(request, handler)
        case "slow":
            answer = await _answer(request, handler)
            await asyncio.sleep(fault.ms / 1000)
            return answer


async def _answer(request: web.Request, handler: Handler) -> web.Response:
    try:
        answer = await handler(request)
    except Refusal as refusal:
        return refused(refusal)
    except web.HTTPException as problem:
        return reply({"error": problem.reason}, problem.status)
    if not isinstance(answer, web.Response):
        raise TypeError("a handler answers with a whole response")
    return answer
