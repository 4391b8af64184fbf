"""GET and POST over HTTP with bounds on time, connections and size; every failure has a name.

Used for everything the venue answers by REST. No redirect is followed and nothing is retried
here: whoever asks knows whether a late answer is still of use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import httpx

from tradingtools.domain import errors

BODY_LIMIT = 8 * 1024 * 1024
Params = Mapping[str, str | list[str]]
"""Of a query; a list is a parameter that is given several times."""
_RETRY_AFTER_MS_MAX = 60_000
_WARM_SECONDS = 1.0
"""At most, before it is served cold: a proxy of the environment may not know this machine."""


class Http:
    """Asks one host."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, *, name: str) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._name = name

    async def get(self, path: str, params: Params | None = None) -> bytes:
        """Return the body of a 200.

        Raises:
            NotFound: 404.
            Unavailable: anything else: no answer in time, another status, a body that is too big.
        """
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, body: bytes) -> bytes:
        """Return the body of a 200 to a JSON body. Raises as `get`."""
        return await self._ask("POST", path, body=body)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: bytes | None = None,
    ) -> bytes:
        headers = None if body is None else {"content-type": "application/json"}
        try:
            async with self._client.stream(
                method, self._base_url + path, params=params, content=body, headers=headers
            ) as response:
                if response.status_code == 404:
                    raise errors.NotFound(f"{self._name} has no {path}", kind=self._name, id=path)
                if response.status_code != 200:
                    raise self._refused(path, response)
                # The client's timeout begins anew with each byte.
                async with asyncio.timeout(self._client.timeout.read):
                    return await self._body(path, response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise self._unavailable(f"{path}: {type(error).__name__}") from error

    async def _body(self, path: str, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > BODY_LIMIT:
                raise self._unavailable(f"{path}: the body is above {BODY_LIMIT} bytes")
        return bytes(body)

    def _refused(self, path: str, response: httpx.Response) -> errors.Unavailable:
        wait = response.headers.get("retry-after", "")
        # Python reads no number of thousands of digits.
        message = wait.isdecimal() and len(wait) < 10
        wait_ms = min(int(wait) * 1000, _RETRY_AFTER_MS_MAX) if message else 1000
        return self._unavailable(f"{path}: status {response.status_code}", wait_ms)

    def _unavailable(self, detail: str, wait_ms: int = 1000) -> errors.Unavailable:
        return errors.Unavailable(
            f"{self._name}: {detail}", dependency=self._name, retry_after_ms=str(wait_ms)
        )


@asynccontextmanager
async def open_client(
    *, timeout_ms: int, connections: int, kept: int | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Open a pool of warm connections for the length of the block.

    Args:
        timeout_ms: for connecting, for the beginning of an answer, and for the rest of it.
        connections: at most so many at once; more wait their turn.
        kept: so many stay open without work; None: all. Each costs every request a system call.
    """
    async with httpx.AsyncClient(
        timeout=httpx.Timeout(timeout_ms / 1000, pool=30.0),
        limits=httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections if kept is None else kept,
        ),
        follow_redirects=False,
    ) as client:
        await _warm(client)
        yield client


async def _warm(client: httpx.AsyncClient) -> None:
    """Ask a server of our own once.

    What httpx loads with its first request would stand in the way of live trades: it comes after
    SERVING, and takes tens of milliseconds of the event loop.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(_WARM_SECONDS):
                await client.get(f"http://127.0.0.1:{port}/")
