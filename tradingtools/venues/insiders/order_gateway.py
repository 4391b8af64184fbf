"""insiders-api over HTTP: one request, one answer, nothing hidden.

No automatic retry, no redirect, bounded bodies: on the money path a second request that nobody
decided on is a second order.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tradingtools.venues.insiders.connections import (
    Answer,
    ConnectionGone,
    Connections,
    NotSent,
    Origin,
    Ready,
    Unanswered,
)
from tradingtools.venues.insiders.schemas import BODY_LIMIT_BYTES

__all__ = [
    "Answer",
    "ConnectionGone",
    "InsidersClient",
    "NotSent",
    "Ready",
    "Unanswered",
    "open_client",
]

CONNECTIONS = 256
IDLE_MS = 4_000
"""Less than the five seconds after which common servers close an idle connection."""


class InsidersClient:
    """Requests to one insiders-api.

    Args:
        connections: to it.
        host: what the ``Host`` header says.
        prefix: of every path, without a trailing slash.
        token: bearer token, empty for none.
    """

    def __init__(self, connections: Connections, host: str, prefix: str, token: str) -> None:
        self._connections = connections
        self._prefix = prefix
        self._common = f"Host: {host}\r\n"
        if token:
            self._common += f"Authorization: Bearer {token}\r\n"

    async def submit(
        self,
        side: str,
        order_key: str,
        body: bytes,
        timeout_ms: int,
        ready: Ready | None = None,
        *,
        leave_ms: int | None = None,
    ) -> Answer:
        """POST an order once.

        Args:
            side: ``buy`` or ``sell``, which has a connection before all buys that wait.
            order_key: the idempotency key.
            body: exactly the bytes that were made durable.
            timeout_ms: for the whole exchange, a wait for a connection included.
            ready: awaited when there is a connection, directly before the first byte; what it
                raises keeps the order back and is raised.
            leave_ms: within which its first byte has to leave; None: within ``timeout_ms``.

        Raises:
            NotSent: nothing left, which says nothing of insiders-api when it is Gone.
            Unanswered: anything else without a whole answer.
        """
        request = self._keyed(f"/api/trade/{side}", order_key, body)
        return await self._connections.exchange(
            request, timeout_ms, urgent=side == "sell", ready=ready, leave_ms=leave_ms
        )

    def begin(
        self, side: str, order_key: str, body: bytes, timeout_ms: int
    ) -> asyncio.Future[Answer] | None:
        """POST an order once, on a connection that is ready, before anything else runs.

        Arguments as of :meth:`submit`.

        Returns:
            The answer to come, or Unanswered; None: no connection is ready and nothing left.
        """
        return self._connections.begin(
            self._keyed(f"/api/trade/{side}", order_key, body), timeout_ms, urgent=side == "sell"
        )

    async def order_by_key(self, order_key: str, timeout_ms: int) -> Answer:
        """GET what is known under a key. Raises NotSent, Unanswered."""
        return await self._get(f"/api/trade/orders/by-key/{order_key}", timeout_ms)

    async def void(self, order_key: str, timeout_ms: int) -> Answer:
        """Declare a key unusable unless it was used. Raises NotSent, Unanswered."""
        return await self._request(
            f"POST {self._prefix}/api/trade/orders/by-key/{order_key}/void HTTP/1.1\r\n"
            f"{self._common}Content-Length: 0\r\n\r\n",
            timeout_ms,
        )

    async def redeem(self, redeem_key: str, body: bytes, timeout_ms: int) -> Answer:
        """POST a redemption; the same key and bytes each time. Raises NotSent, Unanswered."""
        request = self._keyed("/api/trade/redeem", redeem_key, body)
        return await self._connections.exchange(request, timeout_ms)

    async def balance(self, proxy: str, timeout_ms: int) -> Answer:
        """GET the cash of a wallet. Raises NotSent, Unanswered."""
        return await self._get(f"/api/wallets/{proxy}/balance", timeout_ms)

    async def positions(self, proxy: str, timeout_ms: int) -> Answer:
        """GET the shares of a wallet. Raises NotSent, Unanswered."""
        return await self._get(f"/api/wallets/{proxy}/positions", timeout_ms)

    async def capabilities(self, timeout_ms: int) -> Answer:
        """GET what this insiders-api promises. Raises NotSent, Unanswered.

        It has a connection before all buys that wait: exits may wait for what it says.
        """
        return await self._get("/api/capabilities", timeout_ms, urgent=True)

    def _keyed(self, path: str, key: str, body: bytes) -> bytes:
        head = (
            f"POST {self._prefix}{path} HTTP/1.1\r\n{self._common}"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def _get(self, path: str, timeout_ms: int, *, urgent: bool = False) -> Answer:
        head = f"GET {self._prefix}{path} HTTP/1.1\r\n{self._common}\r\n"
        return await self._request(head, timeout_ms, urgent=urgent)

    async def _request(self, head: str, timeout_ms: int, *, urgent: bool = False) -> Answer:
        return await self._connections.exchange(head.encode(), timeout_ms, urgent=urgent)


@asynccontextmanager
async def open_client(
    base_url: str,
    token: str = "",
    *,
    limit: int = CONNECTIONS,
    warm: int = 0,
    idle_ms: int = IDLE_MS,
) -> AsyncIterator[InsidersClient]:
    """Open a client with its own connections for the length of the block.

    Args:
        base_url: ``http://`` or ``https://``, with a path prefix if there is one.
        token: bearer token, empty for none.
        limit: connections at most.
        warm: connections held ready.
        idle_ms: longest idle time of a connection.

    Raises:
        ValueError: the URL or the token cannot be used.
    """
    url = urlsplit(base_url)
    if url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc:
        raise ValueError("the URL of insiders-api must be http(s)://host[:port][/path]")
    if not token.isascii() or not token.isprintable():
        raise ValueError("the token of insiders-api must be printable ASCII")
    secure = url.scheme == "https"
    connections = Connections(
        Origin(
            host=url.hostname,
            port=url.port or (443 if secure else 80),
            tls=ssl.create_default_context() if secure else None,
        ),
        limit=limit,
        warm=warm,
        idle_ms=idle_ms,
        body_limit=BODY_LIMIT_BYTES,
    )
    warming = asyncio.ensure_future(connections.keep_warm())
    try:
        yield InsidersClient(connections, url.netloc, url.path.rstrip("/"), token)
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        connections.close()
