"""Answers and parameters of the REST listeners: exact JSON, one-line errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from paper.venue.journal import Questions

_T = TypeVar("_T")


class BadRequest(ValueError):
    """A parameter or body that does not fit; the message names it."""


def reply(body: object, status: int = 200) -> web.Response:
    """A JSON answer; numbers given as raw text stay as they are."""
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


def error(status: int, message: str) -> web.Response:
    """The venue's form of an error."""
    return reply({"error": message}, status)


@web.middleware
async def errors(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Turn a bad request into a 400 and keep the venue's form for what aiohttp refuses."""
    try:
        answer: web.StreamResponse = await handler(request)
    except BadRequest as problem:
        return error(400, str(problem))
    except web.HTTPException as problem:
        return error(problem.status, problem.reason)
    return answer


def noted(questions: Questions) -> Middleware:
    """Note each question when it comes, and when it is answered: not before a stall is over. Web
    sockets are left out."""

    @web.middleware
    async def note(
        request: web.Request, handler: Callable[[web.Request], Any]
    ) -> web.StreamResponse:
        if "upgrade" in request.headers:
            opened: web.StreamResponse = await handler(request)
            return opened
        requested = questions.add(request.path, request.query_string)
        await questions.stall_over()
        answer: web.StreamResponse = await handler(request)
        requested.answered = True
        return answer

    return note


def late(answer_ms: int) -> Middleware:
    """Give answers to GET and POST only after a while; web sockets are as they are."""

    @web.middleware
    async def wait(
        request: web.Request, handler: Callable[[web.Request], Any]
    ) -> web.StreamResponse:
        if answer_ms and "upgrade" not in request.headers:
            await asyncio.sleep(answer_ms / 1000)
        answer: web.StreamResponse = await handler(request)
        return answer

    return wait


async def read(request: web.Request, kind: type[_T]) -> _T:
    """The JSON body as `kind`; an empty body is an empty object. Raises BadRequest."""
    data = await request.read() or b"{}"
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as problem:
        raise BadRequest(f"body: {problem}") from None


def whole(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """An integer parameter; above `high` it is cut to it, as the venue does. Raises BadRequest."""
    value = maybe_whole(request, name)
    if value is None:
        return default
    if value < low:
        raise BadRequest(f"{name}: below {low}")
    return min(value, high)


def maybe_whole(request: web.Request, name: str) -> int | None:
    """An integer parameter or None when it is not given. Raises BadRequest."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise BadRequest(f"{name}: not a whole number") from None


def flag(request: web.Request, name: str, default: bool) -> bool:
    """A true or false parameter. Raises BadRequest."""
    text = request.query.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise BadRequest(f"{name}: neither true nor false")
    return text == "true"


def many(request: web.Request, *names: str) -> list[str]:
    """A parameter given repeatedly or with commas, under any of its names."""
    texts = [text for name in names for text in request.query.getall(name, [])]
    return [part for text in texts for part in text.split(",") if part]
