"""Sends an answer the way a fault wants it sent, or does not send it at all.

The server decides which answer and which fault; this is only about bytes and connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping

import msgspec
from aiohttp import web

from paper.insiders.core.faults import Fault
from paper.insiders.wire import Answer

OVERSIZED_BYTES = 50 * 1024 * 1024
_CHUNK = b" " * 65_536
_DRIP_BYTES = 16
_POLL_S = 0.05

SILENT = frozenset({"hang", "reset"})
"""Kinds after which no answer was given."""


async def send(request: web.Request, answer: Answer, fault: Fault | None) -> web.StreamResponse:
    """Send an answer, misshapen by the fault when it is of a kind that does that."""
    match None if fault is None else fault.kind:
        case "reset":
            return _reset(request)
        case "hang":
            return await _hang(request, _milliseconds(fault))
        case "drip":
            return await _drip(request, answer, _milliseconds(fault))
        case "malformed":
            return _malformed(answer)
        case "oversized":
            return await _oversized(request, answer)
        case "duplicate_answer":
            return await _twice(request, answer)
        case "wrong_key":
            return _wrong_key(answer)
        case _:
            return _plain(answer, answer.body)


def _milliseconds(fault: Fault | None) -> int:
    return 0 if fault is None else fault.ms


def _plain(answer: Answer, body: bytes) -> web.Response:
    return web.Response(
        status=answer.status,
        body=body,
        content_type="application/json",
        headers=answer.headers,
    )


def _reset(request: web.Request) -> web.StreamResponse:
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # Lingering for no time makes the close a reset instead of an orderly end.
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response()


async def _hang(request: web.Request, ms: int) -> web.StreamResponse:
    """Silence for `ms`, or with 0 for ever, but not longer than the client stays.

    It looks for the client every now and then because nothing tells a handler that it left.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + ms / 1000 if ms else float("inf")
    while loop.time() < end and request.transport is not None:  # noqa: ASYNC110
        await asyncio.sleep(min(_POLL_S, max(0.0, end - loop.time())))
    return _reset(request)


async def _drip(request: web.Request, answer: Answer, ms: int) -> web.StreamResponse:
    """The whole answer, spread over `ms`."""
    body = answer.body
    response = _head(answer, {"Content-Length": str(len(body))})
    pieces = [body[at : at + _DRIP_BYTES] for at in range(0, len(body), _DRIP_BYTES)]
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(ms / 1000 / len(pieces))
        await response.write_eof()
    return response


def _malformed(answer: Answer) -> web.StreamResponse:
    """A 200 whose JSON ends half way."""
    return web.Response(
        body=answer.body[: len(answer.body) // 2],
        content_type="application/json",
        headers=answer.headers,
    )


async def _oversized(request: web.Request, answer: Answer) -> web.StreamResponse:
    """The answer, then white space without reason."""
    response = _head(answer, {})
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(answer.body)
        for _ in range(OVERSIZED_BYTES // len(_CHUNK)):
            await response.write(_CHUNK)
        await response.write_eof()
    return response


async def _twice(request: web.Request, answer: Answer) -> web.StreamResponse:
    """The whole HTTP answer two times for one request."""
    body = answer.body
    response = _plain(answer, body)
    await response.prepare(request)
    await response.write_eof()
    if request.transport is not None:
        head = f"HTTP/1.1 {answer.status} Again\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        request.transport.write(head.encode() + body)
    return response


def _wrong_key(answer: Answer) -> web.StreamResponse:
    """The answer to somebody else's question."""
    payload = dict(answer.payload)
    if "idempotencyKey" in payload:
        payload["idempotencyKey"] = str(payload["idempotencyKey"])[::-1]
    return _plain(answer, msgspec.json.encode(payload))


def _head(answer: Answer, headers: Mapping[str, str]) -> web.StreamResponse:
    merged = {**answer.headers, **headers, "Content-Type": "application/json"}
    return web.StreamResponse(status=answer.status, headers=merged)
