"""gRPC's own poller moves the bytes of every process, not the threads of its event engine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from launcher.core.programs import ENGINE
from launcher.state import ROOT

_CODE = """
import asyncio
from tradingtools.runtime.loading import without_gc
with without_gc():
    import services.{name}.app
from tradingtools.rpc import transport

async def main():
    async with transport.serving("127.0.0.1:0", [], lambda server: None) as served:
        async with transport.channel(f"127.0.0.1:{{served.port}}") as channel:
            await channel.channel_ready()

asyncio.run(main())
"""


def _said(name: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _CODE.format(name=name)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stderr


@pytest.mark.parametrize("name", ENGINE)
def test_each_process_has_it(name: str) -> None:
    is_tracing = _said(name, {"GRPC_VERBOSITY": "debug", "GRPC_TRACE": "tcp"})
    assert "tcp_client_posix" in is_tracing
    assert "experiment" not in is_tracing


def test_what_an_operator_sets_counts() -> None:
    is_tracing = _said(
        "guard",
        {
            "GRPC_VERBOSITY": "debug",
            "GRPC_TRACE": "tcp",
            "GRPC_EXPERIMENTS": "tcp_frame_size_tuning",
        },
    )
    assert "tcp_client_posix" not in is_tracing
