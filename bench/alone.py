"""One process of the engine on stores of its own, with the bench on both sides of it."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import psutil

from bench.system import BenchError
from launcher import temporary
from launcher.ports import free_port
from launcher.startup import serving
from launcher.state import ROOT
from tradingtools.storage.postgres.migrate import migrate

_START_SECONDS = 120.0
_POLL_SECONDS = 0.05
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """An empty PostgreSQL with the present schema, and an empty Redis."""

    database_url: str
    redis_url: str


@contextmanager
def stores() -> Iterator[Stores]:
    """Both; gone when the block ends."""
    with temporary.temporary_postgres() as server, temporary.temporary_valkey() as redis_url:
        url = temporary.create_database(server)
        migrate(url)
        yield Stores(database_url=url, redis_url=redis_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that is SERVING."""

    target: str
    handle: psutil.Process

    @property
    def cpu_seconds(self) -> float:
        """Of a core, used so far."""
        times = self.handle.cpu_times()
        return times.user + times.system

    @property
    def resident_mib(self) -> float:
        """Memory now."""
        return self.handle.memory_info().rss / 2**20


@asynccontextmanager
async def process(name: str, at: Stores, settings: Mapping[str, str]) -> AsyncIterator[Process]:
    """One service; ended when the block ends.

    Args:
        name: of the service.
        at: its stores.
        settings: of it, without the prefix of all.

    Raises:
        BenchError: it does not come up.
    """
    target = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryFile() as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{name}",
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env={
                "PATH": os.environ["PATH"],
                "TT_DATABASE_URL": at.database_url,
                "TT_REDIS_URL": at.redis_url,
                "TT_ENGINE_OPEN": "true",
                f"TT_{name.upper()}_LISTEN": target,
                **{f"TT_{name.upper()}_{key}": value for key, value in settings.items()},
            },
        )  # fmt: skip
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not await asyncio.to_thread(serving, target):
                if child.returncode is not None or time.monotonic() > deadline:
                    log.seek(0)
                    said = log.read()[-800:].decode(errors="replace")
                    raise BenchError(f"{name} does not come up; it said: {said}")
                await asyncio.sleep(_POLL_SECONDS)
            yield Process(target=target, handle=psutil.Process(child.pid))
        finally:
            if child.returncode is None:
                child.terminate()
                try:
                    await asyncio.wait_for(child.wait(), _STOP_SECONDS)
                except TimeoutError:
                    child.kill()
                    await child.wait()
