"""The same processes on other feeds: streams tailed by hand, a tape twice, live endpoints."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from launcher.core.programs import PORTS
from launcher.state import ROOT
from tests.acceptance.harness import Run, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STREAMS = {
    "ingest": ("IngestService", "StreamLeaderTrades"),
    "bookfeed": ("BookfeedService", "StreamMarks"),
    "router": ("RouterService", "StreamOrders"),
    "executor": ("ExecutorService", "StreamOrderEvents"),
    "confirm": ("ConfirmService", "StreamFills"),
    "guard": ("GuardService", "StreamExits"),
}


@pytest.fixture
def directory() -> Iterator[Path]:
    """A state directory that an unprivileged PostgreSQL may reach; pytest's own it may not."""
    parent = Path(tempfile.mkdtemp(prefix="tt-acceptance-"))
    parent.chmod(0o755)
    yield parent / "run"
    shutil.rmtree(parent, ignore_errors=True)


def _tail(port: int, service: str, method: str) -> Any:
    """The first answer of a stream, as somebody gets it who knows only the address."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        found = pool.FindServiceByName(f"tradingtools.v1.{service}").methods_by_name[method]
        request = message_factory.GetMessageClass(found.input_type)()
        call: Any = channel.unary_stream(
            f"/tradingtools.v1.{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(found.output_type).FromString,
        )
        stream = call(request, timeout=20)
        first = next(iter(stream))
        stream.cancel()
        return first


def test_every_stream_can_be_tailed_by_hand_and_moves_no_cursor(directory: Path) -> None:
    with running(directory, TT_LAUNCHER_FOR_SECONDS="15", TT_LAUNCHER_FOLLOWERS="1") as run:
        run.says("confirmed")
        for process, (service, method) in STREAMS.items():
            answer = _tail(run.note.port_base + PORTS.index(process), service, method)
            assert answer.cursor, process
        with psycopg.connect(run.note.database_url) as connection:
            readers = connection.execute("select distinct consumer from consumer_cursor").fetchall()
        assert {name for (name,) in readers} <= {
            "router-0", "executor-0", "confirm-0", "guard-0",
        }  # fmt: skip
        assert run.ends() == 0, run.output


def test_the_same_tape_twice_orders_nothing_twice(directory: Path, tmp_path: Path) -> None:
    sample = ROOT / "paper" / "venue" / "sample" / "leader_trades_2026-07.jsonl"
    tape = tmp_path / "tape.jsonl"
    tape.write_text("\n".join(sample.read_text().splitlines()[:40]) + "\n")
    with running(
        directory,
        TT_LAUNCHER_FOR_SECONDS="25",
        TT_LAUNCHER_FOLLOWERS="2",
        TT_VENUE_TAPE=str(tape),
        TT_VENUE_REPEAT="true",
        TT_VENUE_LOOP="true",
        TT_VENUE_FIREHOSE_PER_SECOND="0",
    ) as run:
        run.says("subscriptions created")
        assert run.ends() == 0, run.output
    assert run.summary["breaches"] == [], run.output
    decided = run.summary["numbers"]
    hashes = {line.split('"transactionHash":"')[1][:66] for line in tape.read_text().splitlines()}
    # Played several times over two sockets; still as many leader trades as the tape has.
    assert 0 < decided["leader_trades"] <= len(hashes)
    assert decided["orders"]["CONFIRMED"] > 0


def _venue(directory: Path) -> tuple[subprocess.Popen[bytes], int, int]:
    state = directory.with_name("venue")
    state.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "paper.venue"],
        cwd=ROOT,
        env={**environ, "TT_VENUE_STATE_DIR": str(state), "TT_VENUE_MEAN_GAP_MS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ports = state / "venue.ports.json"
    until(ports.exists, 30, "the venue listens")
    found = json.loads(ports.read_text())
    return process, found["port"], found["control_port"]


def test_live_feeds_are_traded_on_paper(directory: Path) -> None:
    """`LIVE=1`, with the endpoints' settings pointing at a venue that the launcher knows not of."""
    venue, port, _ = _venue(directory)
    try:
        with running(
            directory,
            TT_LAUNCHER_LIVE="1",
            TT_LAUNCHER_FOR_SECONDS="20",
            TT_LAUNCHER_FOLLOWERS="1",
            TT_INGEST_RTDS_URL=f"ws://127.0.0.1:{port}/rtds",
            TT_INGEST_DATA_API_URL=f"http://127.0.0.1:{port}/data",
            TT_BOOKFEED_CLOB_WS_URL=f"ws://127.0.0.1:{port}/clob/ws/market",
            TT_BOOKFEED_CLOB_URL=f"http://127.0.0.1:{port}/clob",
            TT_BOOKFEED_GAMMA_URL=f"http://127.0.0.1:{port}/gamma",
        ) as run:
            run.says("subscriptions created")
            assert run.ends() == 0, run.output
    finally:
        venue.send_signal(signal.SIGTERM)
        venue.wait(timeout=15)
    _assert_paper(run)


def _assert_paper(run: Run) -> None:
    assert run.summary["breaches"] == [], run.output
    assert run.summary["numbers"]["orders"]["CONFIRMED"] > 0
    assert "venue" not in {process["name"] for process in run.summary["processes"]}
    assert "insiders" in {process["name"] for process in run.summary["processes"]}
