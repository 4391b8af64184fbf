"""Receivers of webhooks, good and bad ones, that keep a journal of what they were sent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp import web

from launcher.ports import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message as it came."""

    id: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    """Of the loop's clock."""


@dataclass(slots=True)
class Receivers:
    """One server; what it does depends on the path's first segment."""

    port: int
    garbage_port: int
    dead_port: int
    journal: defaultdict[str, list[Received]] = field(default_factory=lambda: defaultdict(list))
    """By path."""
    answers: dict[str, int] = field(default_factory=dict)
    """By path, a status in the place of 200."""
    refused_once: set[str] = field(default_factory=set)
    well: asyncio.Event = field(default_factory=asyncio.Event)
    """Once it is set, all of them are good."""
    _runners: list[web.AppRunner] = field(default_factory=list)
    _garbage: asyncio.Server | None = None

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        if path.startswith("/dead"):
            return f"http://127.0.0.1:{self.dead_port}{path}"
        if path.startswith("/garbage"):
            return f"http://127.0.0.1:{self.garbage_port}{path}"
        return f"http://127.0.0.1:{self.port}{path}"

    def ids(self, path: str) -> list[str]:
        """The ids that a path was sent, the first time each."""
        return list(dict.fromkeys(received.id for received in self.journal[path]))

    async def begin(self) -> None:
        """Listen."""
        self._garbage = await asyncio.start_server(_garbage, "127.0.0.1", self.garbage_port)
        await self._listen(self.port)

    async def heal(self) -> None:
        """Have the bad ones be good from now on, those that did not listen among them."""
        await self._no_garbage()
        self.well.set()
        for port in (self.dead_port, self.garbage_port):
            await self._listen(port)

    async def end(self) -> None:
        """Listen no more."""
        await self._no_garbage()
        for runner in self._runners:
            await runner.cleanup()

    async def _no_garbage(self) -> None:
        if self._garbage is not None:
            self._garbage.close()
            self._garbage = None

    async def _listen(self, port: int) -> None:
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self.receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """Take a message, or behave badly."""
        path = request.path
        body = await request.read()
        received = Received(
            id=request.headers.get("webhook-id", ""),
            headers=dict(request.headers),
            body=body,
            at=asyncio.get_running_loop().time(),
        )
        self.journal[path].append(received)
        kind = "ok" if self.well.is_set() else path.split("/")[1]
        if kind == "slow":
            await self.well.wait()
        if kind == "redirect":
            raise web.HTTPTemporaryRedirect("/redirected")
        if kind == "endless":
            answer = web.StreamResponse()
            await answer.prepare(request)
            while True:
                await answer.write(b"x" * 65536)
        if kind == "busy" and received.id not in self.refused_once:
            self.refused_once.add(received.id)
            soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
            after = soon if path.endswith("date") else "1"
            return web.Response(status=429, headers={"Retry-After": after})
        status = {"gone": 410, "broken": 500}.get(kind, 200)
        return web.Response(status=self.answers.get(path, status), text=f"taken {received.id}")


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await reader.read(1024)
        writer.write(b"\x00\xffHTTP/9 yes\r\n\x01\r\n" * 100)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receivers]:
    """Receivers that listen."""
    made = Receivers(free_port(), free_port(), free_port())
    await made.begin()
    try:
        yield made
    finally:
        await made.end()
