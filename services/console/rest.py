"""Calls of the pages to REST: handed on to the edge with the session's token."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp import web

from services.console.operators import Refused
from tradingtools.domain.errors import NotFound, Unauthenticated

_ON = ("content-type", "idempotency-key", "if-match", "last-event-id", "accept")
_BACK = ("content-type", "etag", "retry-after", "allow", "x-request-id", "cache-control")
_PATH = re.compile(r"/[A-Za-z0-9_./:-]*")
FORWARDED = "x-forwarded-for"
STREAMS = 64
"""Streams of all pages at once."""
STREAMS_PER_SESSION = 8


class Rest:
    """Hand calls on.

    Args:
        http: makes them.
        url: of the edge.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._streams: Counter[str] = Counter()

    async def caller(self, token: str, address: str) -> Mapping[str, str] | None:
        """Return whose token it is; None: nobody's.

        Args:
            token: of the edge, perhaps.
            address: of the browser.

        Raises:
            aiohttp.ClientError, TimeoutError: the edge does not answer.
        """
        try:
            return await self._caller(token, address)
        except aiohttp.ClientConnectionError:
            # The edge ends the connection of who showed it a token of nobody, also that kept one.
            return await self._caller(token, address)

    async def _caller(self, token: str, address: str) -> Mapping[str, str] | None:
        timeout = aiohttp.ClientTimeout(total=10.0)
        headers = {"authorization": f"Bearer {token}", FORWARDED: address}
        async with self._http.get(
            f"{self._url}/caller", headers=headers, timeout=timeout
        ) as answer:
            if answer.status in (401, 403):
                return None
            answer.raise_for_status()
            found: Mapping[str, str] = await answer.json()
            return found

    async def ask(
        self, verb: str, path: str, body: Mapping[str, str] | None, address: str, token: str
    ) -> Mapping[str, Any]:
        """Return the answer of a call of the console's own.

        Args:
            verb: of HTTP.
            path: at the edge.
            body: JSON; None: there is none.
            address: of the browser.
            token: that is shown; empty: none.

        Raises:
            Unauthenticated: the edge says 401, in its words.
            Refused: it says no otherwise.
            aiohttp.ClientError, TimeoutError: it does not answer.
        """
        headers = {FORWARDED: address, "client-name": "console"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        timeout = aiohttp.ClientTimeout(total=15.0)
        async with self._http.request(
            verb, self._url + path, json=body, headers=headers, timeout=timeout
        ) as answer:
            text = await answer.read()
            if answer.status == 401:
                raise Unauthenticated(str(json.loads(text).get("message", "")))
            if answer.status >= 400:
                raise Refused(answer.status, text)
            found: Mapping[str, Any] = json.loads(text)
            return found

    async def hand_on(
        self, request: web.Request, target: str, session: str, token: str, address: str
    ) -> web.StreamResponse:
        """Return the edge's answer to a request.

        Args:
            request: of a page.
            target: path and query at the edge, as they came.
            session: of the page; it may follow so many streams at once.
            token: that goes along.
            address: of the browser: the edge judges by it where a token may be shown from.

        Raises:
            NotFound: the path has a character that no route has.
        """
        path = target.partition("?")[0]
        # What would be decoded on the way could name another path than the one that is judged here.
        if not _PATH.fullmatch(path) or "#" in target:
            raise NotFound("no such route")
        headers = {name: request.headers[name] for name in _ON if name in request.headers}
        headers |= {"authorization": f"Bearer {token}", FORWARDED: address}
        body = await request.read()
        follows = path.endswith("/stream")
        # A stream ends when its process or its reader wants; any other call is the edge's to end.
        timeout = aiohttp.ClientTimeout(total=None if follows else 15.0, sock_connect=5.0)
        if follows and self._streams[session] >= STREAMS_PER_SESSION:
            return unavailable(f"{STREAMS_PER_SESSION} pages of this session follow events already")
        if follows and self._streams.total() >= STREAMS:
            return unavailable(f"{STREAMS} pages follow events already")
        self._streams[session] += follows
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
        finally:
            self._streams[session] -= follows
            self._streams = +self._streams


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
