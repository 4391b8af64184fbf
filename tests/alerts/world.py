"""The alerts as a process, with everything around it real but the log: that is what a test says.

The stand-in of the log speaks the contract over real gRPC and keeps what it was told to say; mail
arrives at a real SMTP server, Slack's form at a real HTTP server, and both keep a journal.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import yaml
from aiohttp import web
from aiosmtpd.controller import Controller
from psycopg.rows import dict_row

from launcher.embedded import role_urls
from launcher.engine_tokens import engine_tokens
from launcher.ports import free_port
from services.alerts import rules_file
from tests.support.prepared import Popen
from tradingtools.rpc import callers, transport
from tradingtools.settings import SharedSettings
from tradingtools.v1 import event_service_pb2 as pb
from tradingtools.v1 import event_service_pb2_grpc as rpc

WAIT_SECONDS = 40.0
"""Bound of a test's wait for what must come; only a failing test waits that long."""


async def eventually(there: Callable[[], bool | Awaitable[bool]], what: str = "it") -> None:
    """Wait until something holds."""
    ends = time.monotonic() + WAIT_SECONDS
    while True:
        found = there()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < ends, f"waited in vain: {what}"
        await asyncio.sleep(0.05)


class Log(rpc.EventServiceServicer):
    """The log of events: what a test has told, filtered by nothing."""

    def __init__(self) -> None:
        self.events: list[pb.Event] = []
        self.requested: list[pb.StreamEventsRequest] = []

    def notify(self, kind: str, subject: str, *, ago: float = 0, **data: Any) -> None:
        """Let something have happened some seconds ago."""
        made = pb.Event(type=kind, subject=subject, data=json.dumps(data))
        made.sequence = len(self.events) + 1
        made.id = f"evt_{made.sequence}_0"
        made.time.FromNanoseconds(time.time_ns() - int(ago * 1e9))
        self.events.append(made)

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, context: Any
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        """Stream what was told after a cursor; see the contract."""
        self.requested.append(request)
        at = int(request.cursor or 0)
        while True:
            page = self.events[at : at + 100]
            at += len(page)
            yield pb.StreamEventsResponse(events=page, cursor=str(at))
            await asyncio.sleep(0 if page else 0.1)

    async def ListEvents(self, request: pb.ListEventsRequest, context: Any) -> Any:
        """Nobody here asks for pages."""
        raise NotImplementedError


class Slack:
    """A receiver of Slack's form that keeps it; may be told to answer otherwise, or to hang."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.others: list[tuple[str, str]] = []
        self.answers: list[int] = []
        self.retry_after = "0"
        self.page: Callable[[], str] = lambda: "ok"
        self.hold = asyncio.Event()
        self.hold.set()
        self.arrived = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        """Take a message."""
        body = await request.text()
        if request.path != "/services/T/B/x":
            self.others.append((f"{request.method} {request.path}", body))
            return web.Response(text=self.page())
        status = self.answers.pop(0) if self.answers else 200
        if status != 200:
            return web.Response(
                status=status, text="no_service", headers={"Retry-After": self.retry_after}
            )
        assert request.content_type == "application/json"
        self.bodies.append(json.loads(body))
        self.arrived.set()
        await self.hold.wait()
        return web.Response(text="ok")

    def texts(self) -> list[str]:
        """Return the texts that a person reads, message by message."""
        return [f"{one['text']}\n{one['attachments'][0]['text']}" for one in self.bodies]

    def titles(self) -> list[str]:
        """The first lines."""
        return [one["text"] for one in self.bodies]


class Mailbox:
    """A handler of aiosmtpd that keeps what comes."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail."""
        self.mails.append(BytesParser(policy=default).parsebytes(envelope.content))
        return "250 taken"

    def subjects(self) -> list[str]:
        """The first lines."""
        return [str(mail["Subject"]) for mail in self.mails]


def has(read: Callable[[], list[str]], words: str) -> bool:
    """Return whether a receiver has had a message with these words."""
    return any(words in title for title in read())


class World:
    """One process of alerts and what is around it."""

    def __init__(self, database_url: str, directory: Path) -> None:
        self.log = Log()
        self.slack = Slack()
        self.mailbox = Mailbox()
        self.directory = directory
        self.database_url = database_url
        self.port = free_port()
        self.http_port = free_port()
        self.smtp_port = free_port()
        self.rules = directory / "own.yaml"
        self.write_rules()
        tokens, _ = engine_tokens()
        self.environment = {
            "PATH": os.environ["PATH"],
            **role_urls(database_url),
            **tokens,
            "TT_ALERTS_LISTEN": f"127.0.0.1:{self.port}",
            "TT_ALERTS_FILE": str(self.rules),
            "TT_ALERTS_LOOK_MS": "200",
            "TT_ALERTS_CONSOLE_URL": "https://console.example.org",
            "TT_ALERTS_TARGETS": (
                f"slack+http://127.0.0.1:{self.http_port}/services/T/B/x,"
                f"smtp://127.0.0.1:{self.smtp_port}/?from=engine@example.org&to=ann@example.org"
            ),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def write_rules(self, **own: Any) -> None:
        """Write the operator's file: the shipped rules, of which those that look look sooner."""
        shipped = yaml.safe_load(
            (Path(rules_file.__file__).parent / rules_file.SHIPPED).read_text()
        )
        sooner = [
            {**rule, "for_seconds": 1}
            for rule in shipped["rules"]
            if rule["name"] in ("process-not-serving", "dependency-down")
        ]
        grouping = {"wait_seconds": 1, "interval_seconds": 2}
        text = yaml.safe_dump({"grouping": grouping, "rules": sooner, **own})
        # As an editor does it: nobody reads half a file.
        fresh = self.rules.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.rules)

    def start(self, **settings: str) -> None:
        """Start the process."""
        with (self.directory / "alerts.log").open("ab") as log:
            self._process = Popen(
                [sys.executable, "-m", "services.alerts"],
                env={**self.environment, **settings},
                stdout=log,
                stderr=log,
            )

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End it and wait for its end."""
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(timeout=WAIT_SECONDS)
        self._process = None
        return code

    def statuses(self) -> str:
        """Its log."""
        return (self.directory / "alerts.log").read_text()

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Ask the database."""
        with psycopg.connect(
            self.database_url, autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    async def reading(self) -> None:
        """Wait until it reads the log."""
        requested = len(self.log.requested)
        await eventually(lambda: len(self.log.requested) > requested, "alerts read the log")

    async def reported(self, *desired: str) -> None:
        """Wait until both receivers have had messages with these words, and once each."""
        for words in desired:
            for read in (self.slack.titles, self.mailbox.subjects):
                await eventually(partial(has, read, words), words)
        for words in desired:
            assert sum(words in title for title in self.slack.titles()) == 1, words
            assert sum(words in subject for subject in self.mailbox.subjects()) == 1, words

    def end(self) -> None:
        """End the process if it runs."""
        if self._process is not None:
            self.kill(signal.SIGTERM)


@asynccontextmanager
async def world(database_url: str, directory: Path) -> AsyncIterator[World]:
    """A world in which nothing has been started yet but what is around the process."""
    made = World(database_url, directory)
    callers.use(SharedSettings(engine_open=True))
    mail = Controller(made.mailbox, hostname="127.0.0.1", port=made.smtp_port)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.slack.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.http_port).start()
    mail.start()
    try:
        async with transport.serving(
            "127.0.0.1:0",
            ["tradingtools.v1.EventService"],
            lambda server: rpc.add_EventServiceServicer_to_server(made.log, server),
            grace_seconds=0.1,
        ) as server:
            made.environment["TT_ALERTS_EVENTS_TARGET"] = f"127.0.0.1:{server.port}"
            yield made
            made.slack.hold.set()
            made.end()
    finally:
        made.end()
        mail.stop()
        await runner.cleanup()
