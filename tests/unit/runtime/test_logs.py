"""Log lines never stop who writes them, and none is lost without a word."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tradingtools.runtime.logs import BackgroundWriter

_PATIENCE_SECONDS = 30.0
_LINE = "x" * 999
"""A pipe takes 64 KiB of them."""
_SERVICE = """
import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import structlog

from tradingtools.runtime import process
from tradingtools.settings import SharedSettings

@dataclass(frozen=True, kw_only=True)
class Settings:
    shared: SharedSettings

async def run(settings: Settings, stop: asyncio.Event) -> None:
    for _ in range(500):
        structlog.get_logger("test").info("x" * 999)
    Path(sys.argv[1]).touch()
    await stop.wait()
    structlog.get_logger("test").info("the last words")

process.main("test", Settings, run)
"""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Where nobody reads until the test does."""
    read, write = os.pipe()
    yield read, write
    os.close(read)


def _read_all(read: int, into: list[str]) -> None:
    with os.fdopen(os.dup(read)) as stream:
        into.extend(line.rstrip("\n") for line in stream)


def test_logging_goes_on_unread_and_losses_are_counted(
    pipe: tuple[int, int],
) -> None:
    read, write = pipe
    out = os.fdopen(write, "w")
    behind = BackgroundWriter(out, most=100)

    for number in range(500):
        behind.info(f"{number:03} {_LINE}")

    seen: list[str] = []
    with capture_logs() as reported:
        reader = threading.Thread(target=_read_all, args=(read, seen))
        reader.start()
        behind.drain()
        behind.error("after it")
        behind.drain()
    out.close()
    reader.join(_PATIENCE_SECONDS)
    lost = [entry["lines"] for entry in reported]
    assert len(seen) + sum(lost) == 501
    # What the pipe had room for, and what waited.
    assert 100 <= len(seen) <= 250
    assert [line[:3] for line in seen[:-1]] == [f"{number:03}" for number in range(len(seen) - 1)]
    assert seen[-1] == "after it"


def test_what_cannot_be_written_is_lost_and_counted(tmp_path: Path) -> None:
    with capture_logs() as reported, open("/dev/full", "w") as full:
        behind = BackgroundWriter(full)
        behind.info("nobody has room for this")
        behind.drain()
        good = (tmp_path / "log").open("w")
        os.dup2(good.fileno(), full.fileno())
        behind.info("there is room again")
        behind.drain()
        good.close()
    assert (tmp_path / "log").read_text().endswith("there is room again\n")
    assert [entry["lines"] for entry in reported] == [1]


def test_a_process_works_on_while_its_log_stands_still(tmp_path: Path) -> None:
    environ = {**os.environ, "TT_LOG_FORMAT": "json"}
    running = subprocess.Popen(
        [sys.executable, "-c", _SERVICE, str(tmp_path / "done")],
        stderr=subprocess.PIPE, text=True, env=environ,
    )  # fmt: skip
    try:
        ends = time.monotonic() + _PATIENCE_SECONDS
        while not (tmp_path / "done").exists() and time.monotonic() < ends:
            time.sleep(0.01)
        assert (tmp_path / "done").exists()
        running.terminate()
        _, said = running.communicate(timeout=_PATIENCE_SECONDS)
    finally:
        running.kill()
    lines = said.splitlines()
    assert running.returncode == 0
    assert len(lines) == 501
    assert '"process": "test"' in lines[0]
    assert "the last words" in lines[-1]
