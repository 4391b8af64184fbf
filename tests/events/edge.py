"""Envoy, control and the processes behind the same edge, all real, on one database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psycopg

from launcher import envoy_config
from launcher.embedded import role_urls
from launcher.engine_tokens import engine_tokens
from launcher.ports import free_port
from tests.control.edge import MANAGE, TOKENS
from tests.support.prepared import Popen
from tradingtools.rpc.public_services import BEHIND

_SECONDS = 60.0


class Listening:
    """An edge with the log of events behind it; each process may be killed and started again."""

    def __init__(
        self,
        directory: Path,
        database_url: str,
        redis_url: str,
        *,
        trusted: tuple[str, ...] = (),
        console_port: int = 0,
    ) -> None:
        self.directory = directory
        self.database_url = database_url
        names = ("rest", "control", "inside", "events", "webhooks")
        self.ports = {name: free_port() for name in names}
        self.url = f"http://127.0.0.1:{self.ports['rest']}"
        tokens, self.operator = engine_tokens()
        self.tokens_file = directory / "tokens"
        self.tokens_file.write_text(TOKENS.replace(",", "\n") + "\n")
        self.environment = {
            "PATH": os.environ["PATH"],
            "TT_DATABASE_URL": database_url,
            **role_urls(database_url),
            "TT_REDIS_URL": redis_url,
            **tokens,
            "TT_CONTROL_LISTEN": f"127.0.0.1:{self.ports['control']}",
            "TT_CONTROL_INTERNAL_LISTEN": f"127.0.0.1:{self.ports['inside']}",
            "TT_CONTROL_TOKENS_FILE": str(self.tokens_file),
            "TT_CONTROL_REFUSED_RATE": "100000",
            "TT_EVENTS_LISTEN": f"127.0.0.1:{self.ports['events']}",
            "TT_WEBHOOKS_LISTEN": f"127.0.0.1:{self.ports['webhooks']}",
            "TT_CONTROL_ENGINE_TARGETS": f"events=127.0.0.1:{self.ports['events']}",
            "TT_WEBHOOKS_EVENTS_TARGET": f"127.0.0.1:{self.ports['events']}",
            "ENGINE_TOKEN": tokens["TT_EDGE_ENGINE_TOKEN"],
        }
        edge = envoy_config.Edge(
            port=self.ports["rest"],
            control_port=self.ports["control"],
            behind={name: ("127.0.0.1", self.ports[name]) for name in BEHIND},
            directory=directory,
            trusted=trusted,
            console=("127.0.0.1", console_port) if console_port else None,
        )
        self._envoy = envoy_config.command(envoy_config.prepare(edge))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.client = httpx.Client(base_url=self.url, timeout=60.0, trust_env=False)

    @property
    def log(self) -> str:
        """Return what all of them have logged."""
        return (self.directory / "log").read_text()

    def start(self, name: str, **settings: str) -> None:
        """Start a process, or Envoy."""
        command = self._envoy if name == "envoy" else [sys.executable, "-m", f"services.{name}"]
        begin = subprocess.Popen if name == "envoy" else Popen
        with (self.directory / "log").open("ab") as log:
            self.processes[name] = begin(
                command, env={**self.environment, **settings}, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """Kill a process with -9 and wait for its end."""
        process = self.processes.pop(name)
        process.kill()
        process.wait(timeout=_SECONDS)

    async def supervise(self) -> None:
        """Start again what ends by itself, for ever, as a supervisor does."""
        while True:
            for name, process in list(self.processes.items()):
                if process.poll() is not None:
                    self.start(name)
            await asyncio.sleep(0.1)

    def call(self, verb: str, path: str, token: str | None = MANAGE, **more: Any) -> httpx.Response:
        """One request; the token goes along unless it is None."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.request(verb, path, headers=headers, **more)

    def wait_until_ready(self, path: str = "/events?limit=1") -> None:
        """Wait until the process behind a path answers through the edge."""
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                if self.call("GET", path).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, self.log[-2000:]
            time.sleep(0.05)

    def wait_for_operators(self) -> None:
        """Wait until control's internal port takes connections: it opens by itself."""
        with grpc.insecure_channel(f"127.0.0.1:{self.ports['inside']}") as channel:
            grpc.channel_ready_future(channel).result(timeout=_SECONDS)

    def happen(self, count: int = 1, word: str = "happened", reason: str = "r") -> None:
        """Write rows that become events, each in a transaction of its own."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            for number in range(count):
                connection.execute(
                    "insert into dead_letter (stream, consumer, cursor, reason, payload)"
                    " values ('tests', %s, %s, %s, '')",
                    [word, str(number), reason],
                )

    def close(self) -> None:
        """End every process that is left."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(timeout=_SECONDS)
        self.client.close()


@contextmanager
def listening(
    directory: Path,
    database_url: str,
    redis_url: str,
    *,
    also: tuple[str, ...] = (),
    trusted: tuple[str, ...] = (),
    console_port: int = 0,
    **settings: str,
) -> Iterator[Listening]:
    """An edge that answers.

    Args:
        directory: for files and the log.
        database_url: migrated.
        redis_url: of a server.
        also: further processes behind the edge.
        trusted: networks whose X-Forwarded-For the edge believes.
        console_port: where the edge finds the console's pages; 0: it does not serve them.
        settings: of all processes.
    """
    world = Listening(
        directory, database_url, redis_url, trusted=trusted, console_port=console_port
    )
    world.environment.update(settings)
    try:
        for name in ("control", "events", *also, "envoy"):
            world.start(name)
        world.wait_until_ready()
        yield world
    finally:
        world.close()
