"""Bring a run up in order: stores, schema, the world outside, the engine, the edge.

Each step is waited for by asking the thing itself. What does not come up ends the start with one
line that names it and says what it said last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import grpc
import httpx
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from launcher import embedded, web
from launcher.core.programs import Program
from launcher.supervision import Supervisor
from tradingtools.rpc.transport import blocking_channel
from tradingtools.storage.postgres.migrate import TooOldError, migrate

_POLL_SECONDS = 0.1
_STORE_SECONDS = 30.0
_REAL_STORE_SECONDS = 10.0
_READY_SECONDS = 90.0
_STARTS_MAX = 4
_BAD_SETTING = 2


class StartError(Exception):
    """Something does not come up; the message is one line that names it."""


class Interrupted(Exception):
    """Stopped while starting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Starts programs of one supervisor and waits until they are ready."""

    supervisor: Supervisor
    programs: Sequence[Program]
    environ: Mapping[str, str]
    stop: Event
    real_orders: bool = False

    def stores(self) -> None:
        """Stores, and the present schema in PostgreSQL. Raises StartError, Interrupted."""
        self._start("stores")
        url, cache = self.environ["TT_DATABASE_URL"], self.environ["TT_REDIS_URL"]
        for name, variable, ready in (
            ("postgres", "TT_DATABASE_URL", lambda: embedded.postgres_answers(url)),
            ("valkey", "TT_REDIS_URL", lambda: embedded.redis_answers(cache)),
        ):
            if any(program.name == name for program in self.programs):
                self._until(name, ready, _STORE_SECONDS)
            else:
                self._until(variable, ready, _REAL_STORE_SECONDS)
        if self.real_orders:
            trusting = embedded.trusting_stores(url, cache)
            if trusting:
                raise StartError(
                    f"{trusting[0]}: the server believes anybody who reaches it; real orders"
                    " (TT_LAUNCHER_INSIDERS_URL) need one that asks for a password"
                )
        try:
            if any(program.name == "postgres" for program in self.programs):
                embedded.make_roles(url)
            migrate(url)
        except (psycopg.Error, TooOldError) as error:
            raise StartError(f"TT_DATABASE_URL: {' '.join(str(error).split())}") from None

    def world(self, health_urls: Mapping[str, str]) -> None:
        """The paper parts, until the URL of each answers 200. Raises StartError, Interrupted."""
        self._start("world")
        for name, url in health_urls.items():
            self._until(name, lambda at=url: answers(at), _READY_SECONDS)  # type: ignore[misc]

    def engine(self, addresses: Mapping[str, str]) -> None:
        """The engine, until each process says SERVING. Raises StartError, Interrupted."""
        self._start("engine")
        for name, at in addresses.items():
            self._until(name, lambda at=at: serving(at), _READY_SECONDS)  # type: ignore[misc]

    def edge(self, rest_url: str) -> None:
        """Envoy, until the whole way to control is ready. Raises StartError, Interrupted."""
        self._start("edge")
        self._until("envoy", lambda: answers(f"{rest_url}/ready"), _READY_SECONDS)

    def _start(self, group: str) -> None:
        for program in self.programs:
            if program.group == group:
                self.supervisor.start(program)

    def _until(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if self.stop.wait(_POLL_SECONDS):
                raise Interrupted
            self._refuse_failed()
            if time.monotonic() > deadline:
                message = self.supervisor.last_line(name)
                raise StartError(
                    f"{name}: does not answer after {seconds:.0f} s"
                    + (f"; it said: {message}" if message else "")
                )

    def _refuse_failed(self) -> None:
        """A process that ends with a refused setting, or again and again, will not come up."""
        for state in self.supervisor.states():
            ended = state.state in ("BACKOFF", "EXITED", "FATAL")
            hopeless = state.exit_status == _BAD_SETTING or state.starts >= _STARTS_MAX
            if state.state == "FATAL" or (ended and hopeless):
                message = self.supervisor.last_line(state.name)
                prefix = "" if message.startswith(f"{state.name}:") else f"{state.name}: "
                raise StartError(f"{prefix}{message or 'ended at once and said nothing'}")


def answers(url: str) -> bool:
    """Return whether a GET of the URL is answered with 200."""
    try:
        answer = httpx.get(url, timeout=2.0, trust_env=False, verify=web.context())
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


def serving(target: str) -> bool:
    """Return whether the gRPC server there says SERVING."""
    with blocking_channel(target) as channel:
        try:
            # The package's types leave out the methods of its stub.
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2.0)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
