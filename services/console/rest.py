"""Calls of the pages to REST: handed on to the edge with the session's token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import aiohttp
from aiohttp import web

_ON = ("content-type", "idempotency-key", "if-match", "last-event-id", "accept")
_BACK = ("content-type", "etag", "retry-after", "allow", "x-request-id", "cache-control")
_CHUNK = 65_536
STREAMS = 64
"""Streams of all pages at once."""


class Rest:
    """Hand calls on.

    Args:
        http: makes them.
        url: of the edge.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._streams = asyncio.Semaphore(STREAMS)

    async def caller(self, token: str) -> Mapping[str, str] | None:
        """Return whose token it is; None: nobody's.

        Raises:
            aiohttp.ClientError, TimeoutError: the edge does not answer.
        """
        timeout = aiohttp.ClientTimeout(total=10.0)
        async with self._http.get(
            f"{self._url}/caller", headers={"authorization": f"Bearer {token}"}, timeout=timeout
        ) as answer:
            if answer.status in (401, 403):
                return None
            answer.raise_for_status()
            found: Mapping[str, str] = await answer.json()
            return found

    async def hand_on(self, request: web.Request, target: str, token: str) -> web.StreamResponse:
        """Return the edge's answer to a request.

        Args:
            request: of a page.
            target: path and query at the edge.
            token: of the session.
        """
        headers = {name: request.headers[name] for name in _ON if name in request.headers}
        headers["authorization"] = f"Bearer {token}"
        body = await request.read()
        follows = target.partition("?")[0].endswith("/stream")
        # A stream ends when its process or its reader wants; any other call is the edge's to end.
        timeout = aiohttp.ClientTimeout(total=None if follows else 15.0, sock_connect=5.0)
        if follows and self._streams.locked():
            return unavailable(f"{STREAMS} pages follow events already")
        async with self._streams if follows else _Free():
            try:
                async with self._http.request(
                    request.method,
                    self._url + target,
                    headers=headers,
                    data=body or None,
                    timeout=timeout,
                    allow_redirects=False,
                ) as answer:
                    return await _pass(request, answer)
            except (aiohttp.ClientError, TimeoutError):
                return unavailable("the edge does not answer")


class _Free:
    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


async def _pass(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status,
        headers={name: answer.headers[name] for name in _BACK if name in answer.headers},
    )
    response.headers.setdefault("cache-control", "no-store")
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except (aiohttp.ClientError, TimeoutError, ConnectionError):
        # It has begun: the reader notices that it ends, and asks again.
        if request.transport is not None:
            request.transport.close()
    return response


def unavailable(sentence: str) -> web.Response:
    """Return the answer for what is away, as REST spells it."""
    details = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "UNAVAILABLE",
        "domain": "tradingtools",
    }
    body = {"code": 14, "message": sentence, "details": [details]}
    return web.Response(
        status=503,
        body=json.dumps(body).encode(),
        content_type="application/json",
        headers={"retry-after": "1", "cache-control": "no-store"},
    )
