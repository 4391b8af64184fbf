"""Real processes of the engine and of the venue, and clients to look at them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import grpc
import httpx
import msgspec
from grpc_health.v1 import health_pb2, health_pb2_grpc

from launcher.ports import free_port
from tests.support.prepared import Popen

T = TypeVar("T")
WAIT_SECONDS = 60.0
ROOT = Path(__file__).parents[2]


async def until(poll: Callable[[], Awaitable[T]], *, seconds: float = WAIT_SECONDS) -> T:
    """Poll until `poll` gives something true; fail with the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        found = await poll()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited too long; last: {found!r}"
        await asyncio.sleep(0.02)


def _opened(log: Path) -> IO[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


class Process:
    """A process of the project with its log; `port` is where its gRPC server listens."""

    def __init__(self, module: str, environ: Mapping[str, str], log: Path, port: int) -> None:
        self.port = port
        self.log = log
        self._module = module
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TT_")},
            **environ,
        }
        self._process: Popen | None = None

    async def start(self) -> None:
        with _opened(self.log) as log:
            self._process = Popen(
                [sys.executable, "-m", self._module],
                env=self._environ, cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def wait(self) -> int:
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, WAIT_SECONDS)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serving(self) -> None:
        """Wait until its health check says SERVING."""

        async def poll() -> bool:
            assert self.running, self.log.read_text()[-2000:]
            async with grpc.aio.insecure_channel(self.target) as channel:
                try:
                    stub: Any = health_pb2_grpc.HealthStub(channel)
                    answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
                except grpc.aio.AioRpcError:
                    return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        await until(poll)


@asynccontextmanager
async def running(name: str, environ: Mapping[str, str], directory: Path) -> AsyncIterator[Process]:
    """`python -m services.<name>`, serving; ended when the block ends."""
    port = free_port()
    listen = {f"TT_{name.upper()}_LISTEN": f"127.0.0.1:{port}"}
    process = Process(f"services.{name}", {**environ, **listen}, directory / f"{name}.log", port)
    await process.start()
    try:
        await process.serving()
        yield process
    finally:
        # Not asked to end: a clean end has its own test, and this is quicker.
        process.kill()
        await process.wait()


async def until_health(target: str, expected: Mapping[str, str]) -> None:
    """Wait until health checks by these names say so."""

    async def poll() -> bool:
        async with grpc.aio.insecure_channel(target) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            found = {}
            for name in expected:
                request = health_pb2.HealthCheckRequest(service=name)
                try:
                    answer = await stub.Check(request, timeout=10.0)
                except grpc.aio.AioRpcError:
                    return False  # It was not looked at yet.
                found[name] = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        return found == expected

    await until(poll)


class Venue:
    """The venue replay as a process: its base URLs and its control port."""

    def __init__(self, port: int, control: httpx.AsyncClient) -> None:
        self.http_url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}"
        self._control = control

    async def notify(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = await self._control.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, path: str) -> Any:
        return (await self._control.get(path)).json()


@asynccontextmanager
async def venue(directory: Path, **settings: str) -> AsyncIterator[Venue]:
    """The venue, which waits for POST /start and has no firehose unless told otherwise."""
    environ = {
        "TT_VENUE_STATE_DIR": str(directory),
        "TT_VENUE_FIREHOSE_PER_SECOND": "0",
        "TT_VENUE_START_WHEN_TOLD": "true",
        "TT_VENUE_CROWD_MARKETS": "1",
        **{f"TT_VENUE_{name.upper()}": value for name, value in settings.items()},
    }
    process = Process("paper.venue", environ, directory / "venue.log", 0)
    await process.start()
    ports = directory / "venue.ports.json"
    try:

        async def poll() -> bool:
            assert process.running, process.log.read_text()[-2000:]
            return ports.exists()

        await until(poll)
        found = msgspec.json.decode(ports.read_bytes())
        url = f"http://127.0.0.1:{found['control_port']}"
        async with httpx.AsyncClient(base_url=url, timeout=10.0) as control:
            yield Venue(found["port"], control)
    finally:
        process.kill()
        await process.wait()
