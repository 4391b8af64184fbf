"""Posts a message to an endpoint, and believes nothing that it answers.

The address is judged where the socket for it is made: what was judged is what is connected to,
whatever a name's server says the next time (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver
from standardwebhooks.webhooks import Webhook

from services.webhooks.core.addresses import Network, may_connect
from services.webhooks.core.verdict import Answer
from tradingtools import clock

LARGEST: Final = 256 * 1024
"""Bytes of a body."""
_RETAINED: Final = 1024
"""Bytes of an answer."""
_NAMES_AT_A_TIME: Final = 32
"""Names that are looked up at a time: one whose server is dead holds a thread until it gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to post."""

    id: str
    body: bytes


class Refused(OSError):
    """Nothing may be sent to an address."""


class Sender:
    """Posts messages.

    Args:
        public: for https.
        inside: for http, which goes to allowed networks alone.
    """

    def __init__(self, public: aiohttp.ClientSession, inside: aiohttp.ClientSession) -> None:
        self._public = public
        self._inside = inside

    async def send(self, url: str, secrets: Sequence[str], message: Message) -> Answer:
        """Post a message, signed with each secret; whatever happens is an answer."""
        started = clock.monotonic()
        try:
            status, text, retry_after = await self._post(url, secrets, message)
        except TimeoutError:
            status, text, retry_after = 0, "no answer in time", ""
        except Refused as error:
            status, text, retry_after = 0, str(error), ""
        except (aiohttp.ClientError, OSError, ValueError) as error:
            status, text, retry_after = 0, _words(error), ""
        duration = round((clock.monotonic() - started) * 1000)
        return Answer(status=status, text=text, retry_after=retry_after, duration_ms=duration)

    async def _post(
        self, url: str, secrets: Sequence[str], message: Message
    ) -> tuple[int, str, str]:
        session = self._public if url.startswith("https:") else self._inside
        async with session.post(
            url, data=message.body, headers=_headers(secrets, message), allow_redirects=False
        ) as answer:
            text = await _beginning(answer)
            return answer.status, text, answer.headers.get("Retry-After", "")


async def _beginning(answer: aiohttp.ClientResponse) -> str:
    """Read the beginning of an answer; one that is longer or late ends the connection."""
    kept = b""
    try:
        while len(kept) < _RETAINED and (piece := await answer.content.read(_RETAINED - len(kept))):
            kept += piece
    except (TimeoutError, aiohttp.ClientError):
        answer.close()
    if not answer.content.at_eof():
        answer.close()
    # PostgreSQL's text has no zero bytes.
    return kept.decode(errors="replace").replace("\0", "�")


def _headers(secrets: Sequence[str], message: Message) -> dict[str, str]:
    now = datetime.fromtimestamp(clock.now_ms() // 1000, UTC)
    text = message.body.decode()
    signatures = [Webhook(secret).sign(message.id, now, text) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "tradingtools-webhooks",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _words(error: BaseException) -> str:
    # aiohttp wraps what the guard says where the socket is made.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Refused):
            return str(cause)
        cause = getattr(cause, "os_error", None) or cause.__cause__
    return f"no answer: {type(error).__name__}"


def guarded(
    allowed: tuple[Network, ...], *, public: bool
) -> Callable[[tuple[Any, ...]], socket.socket]:
    """Return what makes sockets for addresses to which messages may go.

    Args:
        allowed: networks that the operator allows.
        public: whether public addresses are allowed, too.
    """

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not may_connect(str(address[0]), allowed, public=public):
            raise Refused("the address is not public, and no allowed network has it")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return make


@asynccontextmanager
async def sending(
    allowed: tuple[Network, ...],
    *,
    timeout_seconds: float,
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[Sender]:
    """Open a sender.

    Args:
        allowed: networks that the operator allows.
        timeout_seconds: of one attempt.
        resolver: of names; None: the system's.
    """
    names = ThreadPoolExecutor(_NAMES_AT_A_TIME, thread_name_prefix="names")
    asyncio.get_running_loop().set_default_executor(names)

    def session(*, public: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            # Lanes bound what is under way.
            limit=0,
            resolver=resolver or aiohttp.ThreadedResolver(),
            use_dns_cache=False,
            keepalive_timeout=30,
            socket_factory=guarded(allowed, public=public),
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("accept", "accept-encoding"),
        )

    async with session(public=True) as public, session(public=False) as inside:
        yield Sender(public, inside)
