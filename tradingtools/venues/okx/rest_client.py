"""Requests to OKX over REST: signed, within the limits, sent once.

Before: `requests`, `questions`. After: `verdicts`, the readers of rows. Nothing is repeated here
but what the venue has refused for its time, which proves that it was not taken. No redirect is
followed: it would carry the key to another host.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import structlog

from tradingtools import clock
from tradingtools.venues.okx import numbers, questions, signing
from tradingtools.venues.okx.error_codes import Action, action_of, meaning_of
from tradingtools.venues.okx.numbers import NumberError
from tradingtools.venues.okx.rate_gate import RateGates
from tradingtools.venues.okx.requests import RestRequest
from tradingtools.venues.okx.signing import Credentials
from tradingtools.venues.okx.venue_clock import Sample, VenueClock, timestamp
from tradingtools.venues.okx.wire import TIMES, RestAnswer, WireError, decode_answer, decode_rows
from tradingtools.venues.trading import ReadError

BODY_LIMIT = 32 * 1024 * 1024
"""All spot instruments are a few megabytes."""
_AGAIN_MS = (500, 1_000, 2_000)
_NOT_LEFT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
_log = structlog.get_logger("okx")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing was heard; `left` says whether a byte of the request can be on its way."""

    left: bool
    detail: str
    late: bool = False
    """Its deadline came before its turn."""


class OkxRest:
    """Asks OKX for one wallet, or without a key for what everybody may know.

    Args:
        session: without redirects or cookies.
        base_url: https, without a path.
        gates: the limits, shared with the wallet's socket.
        venue_clock: shared with the wallet's socket, and with other wallets.
        learning: held while that clock is read; None: nobody else reads it.
        credentials: of the wallet; None: public questions alone.
        demo: the venue's demo trading.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        gates: RateGates,
        venue_clock: VenueClock,
        learning: asyncio.Lock | None = None,
        credentials: Credentials | None = None,
        demo: bool = False,
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._gates = gates
        self.venue_clock = venue_clock
        self._learning = learning if learning is not None else asyncio.Lock()
        self._credentials = credentials
        self._demo = demo

    async def send(
        self, request: RestRequest, *, not_after_ms: int | None = None
    ) -> HttpAnswer | NoAnswer:
        """Send a request once; a question again, after it was refused for its timestamp.

        Args:
            request: what is sent.
            not_after_ms: by our wall clock; no byte of it leaves later. None: no deadline.

        Raises:
            SigningError: nothing was signed, so nothing was sent.
        """
        if request.signed and not self.venue_clock.known:
            await self.ensure_clock()
        answer = await self._send(request, not_after_ms)
        if isinstance(answer, NoAnswer) or not request.signed or not _refused_for_time(answer):
            return answer
        learned = await self.resync_clock()
        # The deadline of an order is of the same clock: whoever made it has to make it anew.
        if not learned or request.not_after_ms is not None:
            return answer
        return await self._send(request, not_after_ms)

    async def resync_clock(self) -> bool:
        """Read the clock anew, since the venue has refused it. Return whether that worked."""
        _log.warning("okx refuses our timestamp", offset_ms=self.venue_clock.offset_ms)
        self.venue_clock.forget()
        return await self.sync_clock()

    async def keep_clock_synced(self, seconds: float = 30.0) -> None:
        """Read the venue's clock again and again, for ever."""
        while True:
            async with self._learning:
                await self.sync_clock()
            await asyncio.sleep(seconds)

    async def ask(self, request: RestRequest) -> RestAnswer:
        """Return the answer to a question; one that came too often is asked again, a few times.

        Raises:
            ReadError: none came, or it cannot be read.
            Refused: the venue answers with a code.
        """
        for pause_ms in _AGAIN_MS:
            try:
                return await self._ask(request)
            except Refused as error:
                if action_of(error.code) is not Action.LATER:
                    raise
            # Others on this machine's address may ask, too.
            await asyncio.sleep(pause_ms / 1000)
        return await self._ask(request)

    async def _ask(self, request: RestRequest) -> RestAnswer:
        try:
            answer = await self.send(request)
        except signing.SigningError as error:
            raise ReadError(f"not signed: {error}") from error
        if isinstance(answer, NoAnswer):
            raise ReadError(f"{_name(request)}: {answer.detail}")
        try:
            read = decode_answer(answer.body)
        except WireError as error:
            raise ReadError(f"{_name(request)}: status {answer.status}: {error}") from None
        if read.code != "0" or not 200 <= answer.status < 300:
            raise Refused(_name(request), answer.status, read.code)
        return read

    async def ensure_clock(self) -> bool:
        """Read the venue's clock, unless it is known by now. Return whether it is."""
        async with self._learning:
            return self.venue_clock.known or await self.sync_clock()

    async def sync_clock(self) -> bool:
        """Read the venue's clock. Return whether that worked."""
        requested_ms, started = clock.now_ms(), clock.monotonic_ms()
        try:
            answer = await self.ask(questions.venue_time())
            took_ms = clock.monotonic_ms() - started
            rows = decode_rows(answer.data, TIMES)
            reported_ms = numbers.whole("ts", rows[0].ts if rows else "")
        except (ReadError, WireError, NumberError) as error:
            _log.warning("okx does not tell its time", error=str(error)[:200])
            return False
        moved_ms = self.venue_clock.learn(Sample(requested_ms, reported_ms, took_ms))
        if self.venue_clock.off and abs(moved_ms) > self.venue_clock.error_ms:
            _log.error(
                "our clock is off, by that of okx; corrected",
                alert=True,
                offset_ms=self.venue_clock.offset_ms,
            )
        return True

    async def _send(self, request: RestRequest, not_after_ms: int | None) -> HttpAnswer | NoAnswer:
        gate = self._gates.user if request.signed else self._gates.address
        async with gate.passing(request.charges, not_after_ms) as admitted:
            if not admitted:
                return NoAnswer(left=False, detail="no room within the limits", late=True)
            headers = await self._headers(request)
            if not_after_ms is not None and clock.now_ms() >= not_after_ms:
                return NoAnswer(left=False, detail="signing took too long", late=True)
            return await self._exchange(request, headers)

    async def _headers(self, request: RestRequest) -> dict[str, str]:
        headers = {"Content-Type": "application/json"} if request.body else {}
        if self._demo:
            headers["x-simulated-trading"] = "1"
        if request.not_after_ms is not None:
            headers["expTime"] = str(request.not_after_ms)
        if not request.signed:
            return headers
        if self._credentials is None:
            raise signing.SigningError("there is no key")
        at = timestamp(self.venue_clock.at(clock.now_ms()))
        signature = await self._credentials.signer.sign_request(
            timestamp=at,
            method=request.method,
            path=request.path,
            body=request.body.decode(),
        )
        return headers | signing.headers(
            self._credentials.api_key, timestamp=at, signature=signature
        )

    async def _exchange(
        self, request: RestRequest, headers: dict[str, str]
    ) -> HttpAnswer | NoAnswer:
        try:
            async with self._session.request(
                request.method,
                self._base_url + request.path,
                data=request.body or None,
                headers=headers,
                allow_redirects=False,
            ) as response:
                body = await _bounded(response)
                return HttpAnswer(response.status, body)
        except _NOT_LEFT as error:
            return NoAnswer(left=False, detail=type(error).__name__)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return NoAnswer(left=True, detail=type(error).__name__)


class Refused(ReadError):
    """The venue answered a question with a code.

    Attributes:
        code: of the venue's table.
    """

    def __init__(self, what: str, status: int, code: str) -> None:
        super().__init__(f"{what}: status {status}, code {code}: {meaning_of(code)}")
        self.code = code


@asynccontextmanager
async def open_session(
    *, timeout_ms: int, connections: int = 16, tls: ssl.SSLContext | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a pool of connections for the length of the block.

    Args:
        timeout_ms: for a whole exchange.
        connections: at most so many at once.
        tls: trusted authorities; None: the system's.
    """
    connector = aiohttp.TCPConnector(
        limit=connections, keepalive_timeout=20.0, ssl=tls if tls is not None else True
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=timeout_ms / 1000, connect=min(timeout_ms / 1000, 5.0)),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
    ) as session:
        yield session


def _refused_for_time(answer: HttpAnswer) -> bool:
    try:
        return action_of(decode_answer(answer.body).code) is Action.CLOCK
    except WireError:
        return False


def _name(request: RestRequest) -> str:
    return request.path.partition("?")[0]


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise ValueError("the body is too long")
    return bytes(body)
