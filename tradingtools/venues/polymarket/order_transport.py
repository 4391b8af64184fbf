"""Private requests over HTTP: signed, sent once, and never again by anything below.

Before: `order_requests`. After: `order_answers`. An answer is what the venue said; no answer says
whether a byte can have left, for what was not sent may be sent later, and what was may arrive.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import httpx

from tradingtools import clock
from tradingtools.venues.polymarket.clob_auth import ApiKey, l2_headers
from tradingtools.venues.polymarket.contracts import Exchange
from tradingtools.venues.polymarket.order_answers import ClobAnswer
from tradingtools.venues.polymarket.order_requests import ClobRequest
from tradingtools.venues.polymarket.order_signing import ClobOrder

_BODY_LIMIT = 4 * 1024 * 1024
_NOT_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_LONGEST_WAIT_MS = 60_000


class SigningError(Exception):
    """Nothing was signed, so nothing may be sent; the text says why."""


class ClobSigner(Protocol):
    """Signs for one wallet. Each raises :class:`SigningError`."""

    async def sign_order(self, order: ClobOrder, exchange: Exchange) -> str:
        """Return an order's signature as the venue takes it (`order_signing.order_signature`)."""
        ...

    async def sign_request(self, *, timestamp_s: int, method: str, path: str, body: bytes) -> str:
        """Return the HMAC of a private request (`clob_auth.l2_signature`).

        Args:
            timestamp_s: as in POLY_TIMESTAMP.
            method: in upper case.
            path: without its query.
            body: as it is sent; empty: none.
        """
        ...


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing was heard; `left` says whether a byte of the request can be on its way."""

    left: bool
    detail: str


class PrivateClob:
    """Asks the CLOB for one wallet.

    Args:
        client: without redirects; its timeout bounds each answer.
        base_url: of the CLOB.
        signer: of the wallet's requests.
        address: of the key.
        api_key: the name and the passphrase travel in the headers.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        *,
        signer: ClobSigner,
        address: str,
        api_key: ApiKey,
    ) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self.signer = signer
        self._address = address
        self._api_key = api_key

    async def send(self, request: ClobRequest) -> ClobAnswer | NoAnswer:
        """Send a request once. Raises SigningError: nothing was sent."""
        headers = await self._headers(request)
        return await send_once(self._client, self._base_url, request, headers)

    async def _headers(self, request: ClobRequest) -> dict[str, str]:
        timestamp_s = clock.now_ms() // 1_000
        signature = await self.signer.sign_request(
            timestamp_s=timestamp_s, method=request.method, path=request.path, body=request.body
        )
        headers = l2_headers(
            self._api_key.key,
            self._api_key.passphrase,
            self._address,
            timestamp_s=timestamp_s,
            signature=signature,
        )
        return headers | ({"content-type": "application/json"} if request.body else {})


async def send_once(
    client: httpx.AsyncClient, base_url: str, request: ClobRequest, headers: dict[str, str]
) -> ClobAnswer | NoAnswer:
    """Send a request once, without a slash at the end of its base, and return what was heard."""
    try:
        async with client.stream(
            request.method,
            base_url + request.target,
            content=request.body or None,
            headers=headers,
        ) as response:
            # The client's timeout begins anew with each byte.
            async with asyncio.timeout(client.timeout.read):
                body = await _read(response)
    except _NOT_LEFT as error:
        return NoAnswer(left=False, detail=type(error).__name__)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return NoAnswer(left=True, detail=type(error).__name__)
    wait = response.headers.get("retry-after", "")
    message = wait.isdecimal() and len(wait) < 10
    return ClobAnswer(
        status=response.status_code,
        body=body,
        retry_after_ms=min(int(wait) * 1000, _LONGEST_WAIT_MS) if message else None,
    )


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _BODY_LIMIT:
            raise httpx.ReadError("the body is too big")
    return bytes(body)
