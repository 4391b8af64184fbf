"""A real edge for tests: Envoy before a real control process, on a database and a Redis."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc
import httpx

from launcher import envoy_config
from launcher.embedded import role_urls
from launcher.ports import free_port
from tests.replay import made
from tests.support.prepared import Popen

ROOT = Path(__file__).resolve().parents[2]
MANAGE = "a1" * 32
READ = "b2" * 32
INTERNAL = "d4" * 32
OPERATE = "0e" * 32
_START_SECONDS = 60.0


def digest(token: str) -> str:
    """Return what the settings hold of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


TOKENS = (
    f"backend:manage:{digest(MANAGE)},viewer:read:{digest(READ)},inside:internal:{digest(INTERNAL)},"
    f"operator:operate:{digest(OPERATE)}"
)


class _Token(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Shows an operator's token with each call that shows none."""

    def _with_token(self, details: Any) -> Any:
        given = tuple(details.metadata or ())
        if not any(key == "authorization" for key, _ in given):
            given += (("authorization", f"Bearer {OPERATE}"),)
        return details._replace(metadata=given)

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with_token(details), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with_token(details), request)


def as_operator(channel: grpc.Channel) -> grpc.Channel:
    """The channel, with an operator's token."""
    return grpc.intercept_channel(channel, _Token())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEdge:
    """An edge that answers."""

    url: str
    port: int
    control_port: int
    internal_port: int
    inside_rest_port: int
    """Of the internal port's REST."""
    database_url: str
    redis_url: str
    log: Path
    admin_socket: Path
    processes: tuple[int, ...]
    """Ids of control and Envoy."""
    client: httpx.Client = field(repr=False)

    def call(self, verb: str, path: str, token: str | None = MANAGE, **more: Any) -> httpx.Response:
        """One request; the token goes along unless it is None."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.request(verb, path, headers=headers, **more)

    @property
    def analytics(self) -> Path:
        """The directory of its analytical store."""
        return self.log.parent / "analytics"

    @property
    def recording(self) -> Path:
        """The directory of its recordings."""
        return self.log.parent / "recording"

    @contextmanager
    def inside(self) -> Iterator[grpc.Channel]:
        """A channel to the internal port, as an operator with his token has it."""
        with grpc.insecure_channel(f"127.0.0.1:{self.internal_port}") as channel:
            # It is a process of its own, which may come after the edge.
            grpc.channel_ready_future(channel).result(_START_SECONDS)
            yield as_operator(channel)

    def logs(self, words: str) -> None:
        """Wait until it has logged them: lines go out behind what they are about."""
        deadline = time.monotonic() + 60
        while words not in self.log.read_text():
            assert time.monotonic() < deadline, words
            time.sleep(0.02)


class StartEdge(Protocol):
    """``start_edge("strict", refused_rate="5")``: a name, and settings of control."""

    def __call__(
        self, name: str, trusted: tuple[str, ...] = (), **settings: str
    ) -> AbstractContextManager[RunningEdge]: ...


@contextmanager
def running_edge(
    directory: Path,
    database_url: str,
    redis_url: str,
    trusted: tuple[str, ...] = (),
    shares: int = 2,
    **settings: str,
) -> Iterator[RunningEdge]:
    """Start control and Envoy, wait until they answer, and end both by their ids.

    Args:
        directory: for their files and their log.
        database_url: migrated.
        redis_url: of a server.
        trusted: networks whose X-Forwarded-For is believed.
        shares: of the connections of all others.
        settings: of control, ``refused_rate="5"`` for instance.
    """
    made.analytics(directory / "analytics", {})
    port, control_port, internal_port, inside = (free_port() for _ in range(4))
    environment = {
        **os.environ,
        "TT_DATABASE_URL": database_url,
        **role_urls(database_url),
        "TT_REDIS_URL": redis_url,
        "TT_ANALYTICS_DIR": str(directory / "analytics"),
        "TT_RECORDING_DIR": str(directory / "recording"),
        "TT_CONTROL_LISTEN": f"127.0.0.1:{control_port}",
        "TT_CONTROL_INTERNAL_LISTEN": f"127.0.0.1:{internal_port}",
        "TT_CONTROL_TOKENS": TOKENS,
        # The tests are one address that is refused all the time.
        "TT_CONTROL_REFUSED_RATE": "100000",
        **{f"TT_CONTROL_{name.upper()}": value for name, value in settings.items()},
    }
    edge = envoy_config.Edge(
        port=port, control_port=control_port, directory=directory,
        trusted=trusted, health_port=internal_port, shares=shares, inside_port=inside,
        login_audience=settings.get("login_audience", "tradingtools"),
    )  # fmt: skip
    commands: list[tuple[type[subprocess.Popen[bytes]], list[str]]] = [
        (Popen, [sys.executable, "-m", "services.control"]),
        (subprocess.Popen, envoy_config.command(envoy_config.prepare(edge))),
    ]
    log = directory / "log"
    url = f"http://127.0.0.1:{port}"
    with (
        log.open("wb") as output,
        httpx.Client(base_url=url, timeout=60.0, trust_env=False) as client,
    ):
        children = [
            begin(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
            for begin, command in commands
        ]
        try:
            _wait_until_ready(client, children, log, internal_port)
            yield RunningEdge(
                url=url,
                port=port,
                control_port=control_port,
                internal_port=internal_port,
                inside_rest_port=inside,
                database_url=database_url,
                redis_url=redis_url,
                log=log,
                admin_socket=edge.admin_socket,
                processes=tuple(child.pid for child in children),
                client=client,
            )
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait(timeout=60)


def _wait_until_ready(
    client: httpx.Client, children: list[subprocess.Popen[bytes]], log: Path, internal_port: int
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            if {client.get(path).status_code for path in ("/ready", "/health")} == {200}:
                # Operators' port is a process of its own, which may come after the edge.
                socket.create_connection(("127.0.0.1", internal_port), timeout=10).close()
                return
        except (httpx.TransportError, OSError):
            pass
        if time.monotonic() > deadline or any(child.poll() is not None for child in children):
            raise AssertionError(f"the edge did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)
