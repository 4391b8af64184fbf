"""Test what a process tells a collector at its end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from launcher.ports import free_port
from tests.support.collector import running_collector

_PROCESS = """
import asyncio, os, signal, sys
from dataclasses import dataclass, field
from opentelemetry import metrics
from tradingtools.runtime import process, telemetry
from tradingtools.settings import SharedSettings

@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    shared: SharedSettings = field(default_factory=SharedSettings)

async def run(settings, stop):
    with telemetry.span("a-step"):
        metrics.get_meter("test").create_counter("a-counter").add(1)
    if "dies" in sys.argv:
        raise LookupError("died")
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()

process.main("test", Settings, run)
"""


@pytest.mark.parametrize(
    ("how", "status", "reported"), [("stops", 0, [True, True]), ("dies", 1, [False, False])]
)
def test_restarting_process_waits_for_no_collector(
    how: str, status: int, reported: list[bool]
) -> None:
    with running_collector() as (port, received):
        done = subprocess.run(
            [sys.executable, "-c", _PROCESS, how],
            env={**os.environ, "TT_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"},
            check=False,
            capture_output=True,
        )
    assert done.returncode == status, done.stderr
    all_of_it = b"".join(received)
    assert [name in all_of_it for name in (b"a-step", b"a-counter")] == reported


_READER = """
import asyncio, urllib.request
from dataclasses import dataclass, field
from tradingtools.runtime import process
from tradingtools.runtime.consumer import Consumer
from tradingtools.settings import SharedSettings

@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    shared: SharedSettings = field(default_factory=SharedSettings)

async def run(settings, stop):
    Consumer(None, "fills", "guard-0", None, None)
    url = f"http://127.0.0.1:{settings.shared.metrics_port}/metrics"
    print((await asyncio.to_thread(urllib.request.urlopen, url)).read().decode())

process.main("test", Settings, run)
"""


def test_what_was_set_aside_is_counted_from_nought_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _READER],
        env={**os.environ, "TT_METRICS_PORT": str(free_port())},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("quarantined_total{"))
    assert 'stream="fills"' in line
    assert line.endswith(" 0.0")


def test_taken_metrics_port_is_one_line_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", _PROCESS, "stops"],
            env={**os.environ, "TT_METRICS_PORT": str(port)},
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == (
        f"test: TT_METRICS_PORT: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    )
