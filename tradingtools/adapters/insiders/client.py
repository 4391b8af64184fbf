"""A plain HTTP client of insiders-api: one request, one answer, nothing hidden.

No automatic retry, no redirect, bounded bodies: on the money path a second request that nobody
decided on is a second order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from tradingtools.adapters import clock
from tradingtools.codec.insiders import BODY_LIMIT_BYTES

CONNECTIONS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, unjudged."""

    status: int
    body: bytes
    first_byte_ns: int
    """When the request began to leave, nanoseconds since the epoch."""
    answered_ns: int


class NotSent(Exception):
    """No connection could be made: provably not one byte of the request left."""


class Unanswered(Exception):
    """The request may have left and no whole answer came."""


class InsidersClient:
    """Requests to one insiders-api.

    Args:
        session: with its connection pool.
        base_url: without a trailing slash.
        token: bearer token, empty for none.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str, token: str) -> None:
        self._session = session
        self._base = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def submit(self, side: str, order_key: str, body: bytes, timeout_ms: int) -> Answer:
        """POST an order once.

        Args:
            side: ``buy`` or ``sell``.
            order_key: the idempotency key.
            body: exactly the bytes that were made durable.
            timeout_ms: for the whole exchange.

        Raises:
            NotSent: nothing left.
            Unanswered: anything else without a whole answer.
        """
        return await self._request(
            "POST",
            f"/api/trade/{side}",
            timeout_ms,
            body=body,
            headers={"Idempotency-Key": order_key, "Content-Type": "application/json"},
        )

    async def order_by_key(self, order_key: str, timeout_ms: int) -> Answer:
        """GET what is known under a key. Raises NotSent, Unanswered."""
        return await self._request("GET", f"/api/trade/orders/by-key/{order_key}", timeout_ms)

    async def void(self, order_key: str, timeout_ms: int) -> Answer:
        """Declare a key unusable unless it was used. Raises NotSent, Unanswered."""
        return await self._request(
            "POST", f"/api/trade/orders/by-key/{order_key}/void", timeout_ms, body=b""
        )

    async def capabilities(self, timeout_ms: int) -> Answer:
        """GET what this insiders-api promises. Raises NotSent, Unanswered."""
        return await self._request("GET", "/api/capabilities", timeout_ms)

    async def _request(
        self,
        method: str,
        path: str,
        timeout_ms: int,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        started = clock.now_ns()
        try:
            async with self._session.request(
                method,
                self._base + path,
                data=body,
                headers={**self._headers, **(headers or {})},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_ms / 1000),
            ) as response:
                content = await response.content.read(BODY_LIMIT_BYTES + 1)
                while len(content) <= BODY_LIMIT_BYTES:
                    more = await response.content.read(BODY_LIMIT_BYTES + 1)
                    if not more:
                        break
                    content += more
                return Answer(
                    status=response.status,
                    body=content,
                    first_byte_ns=started,
                    answered_ns=clock.now_ns(),
                )
        except aiohttp.ClientConnectorError as error:
            raise NotSent(str(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered(f"{type(error).__name__}: {error}") from error


@asynccontextmanager
async def open_client(base_url: str, token: str = "") -> AsyncIterator[InsidersClient]:
    """A client with its own warm connections for the length of the block."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=60)
    async with aiohttp.ClientSession(
        connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield InsidersClient(session, base_url, token)
