"""A run of the real thing as a child process: start it, ask it, hurt it, read what it left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import psutil

from launcher.core.programs import PORTS
from launcher.state import ROOT, RunDescription, read_note
from tests.support.prepared import Popen

END_SECONDS = 240


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Poll until it holds, or fail saying what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.1)


class Run:
    """A launcher and everything below it."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], output: Path) -> None:
        self.directory = directory
        self.process = process
        self._output = output
        self._seen: dict[int, float] = {}

    @property
    def output(self) -> str:
        """Return what it said so gateway."""
        return self._output.read_text()

    @property
    def note(self) -> RunDescription:
        """Return how to reach it."""
        found = read_note(self.directory)
        assert found is not None, self.output
        return found

    @property
    def summary(self) -> dict[str, Any]:
        """Return what it left for machines when it ended."""
        text = (self.directory / "summary.json").read_text()
        return cast("dict[str, Any]", json.loads(text))

    def says(self, words: str, seconds: float = END_SECONDS) -> None:
        """Wait until it has said these words."""

        def said() -> bool:
            assert self.process.poll() is None or words in self.output, self.output
            return words in self.output

        until(said, seconds, f"{words!r} in {self.output}")

    def ends(self) -> int:
        """Wait for its end; the exit status."""
        return self.process.wait(timeout=END_SECONDS)

    def port(self, name: str) -> int:
        """A port of its block, by its name in `PORTS`."""
        return self.note.port_base + PORTS.index(name)

    def counts(self) -> Counter[str]:
        """Return what its last line counted: ``trades``, ``confirmed``, and triggers fired by
        kind."""
        lines = [line for line in self.output.splitlines() if "orders open" in line]
        if not lines:
            return Counter()
        reported = re.findall(r"(trades|confirmed|stop_loss|take_profit) (\d+)", lines[-1])
        return Counter({name: int(number) for name, number in reported})

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def pids(self) -> dict[str, int]:
        """The processes that run under its supervisor, by name, as its log last told."""
        log = (self.directory / "logs" / "supervisord.log").read_text()
        return {name: int(pid) for name, pid in re.findall(r"spawned: '(\w+)' with pid (\d+)", log)}

    def starts(self) -> Counter[str]:
        """Return how often each of them was started, as the same log tells."""
        log = (self.directory / "logs" / "supervisord.log").read_text()
        return Counter(re.findall(r"spawned: '(\w+)' with pid", log))

    def remember_tree(self) -> None:
        """Note every process below it, so that leftovers are known by id and start time."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            self._seen[process.pid] = process.create_time()

    def leftovers(self) -> list[int]:
        """Return which of the noted processes still run."""
        found = []
        for pid, create_time in self._seen.items():
            try:
                process = psutil.Process(pid)
                if (
                    process.create_time() == create_time
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(pid)
            except psutil.NoSuchProcess:
                continue
        return found


def running(directory: Path, **settings: str) -> AbstractContextManager[Run]:
    """A launcher with settings (``TT_...``) on a state directory; gone when the block ends.

    It is forked; what it starts itself is started as in anybody's run.
    """
    return _running(Popen, directory, settings)


def started(directory: Path, **settings: str) -> AbstractContextManager[Run]:
    """The same, started as a person does."""
    return _running(subprocess.Popen, directory, settings)


@contextmanager
def _running(
    begin: type[subprocess.Popen[bytes]], directory: Path, settings: Mapping[str, str]
) -> Iterator[Run]:
    output = directory.with_suffix(".out")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
    ours = {
        # Rather many followers' exits than few in a short run: the tape goes three times as fast.
        "TT_VENUE_MEAN_GAP_MS": "120",
        "TT_VENUE_MAX_GAP_MS": "600",
        # Where others want the machine, too, there may be a minute of trades to catch up with.
        "TT_LAUNCHER_SETTLE_SECONDS": "150",
        "TT_LAUNCHER_STATE_DIR": str(directory),
    }
    with output.open("w") as file:
        process = begin(
            [sys.executable, "-m", "launcher"],
            cwd=ROOT,
            env={**environ, **ours, **settings},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    run = Run(directory, process, output)
    try:
        yield run
    finally:
        if process.poll() is None:
            # Its supervisor and all below die with it.
            process.kill()
            process.wait()


@contextmanager
def venue_elsewhere(state: Path, **settings: str) -> Iterator[dict[str, str]]:
    """A venue that no launcher knows of; yields the settings that make its feeds the live ones.

    Args:
        state: its directory, which is made.
        settings: ``TT_VENUE_...``.
    """
    state.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
    ours = {"TT_VENUE_STATE_DIR": str(state), "TT_VENUE_MEAN_GAP_MS": "120"}
    process = Popen(
        [sys.executable, "-m", "paper.venue"],
        cwd=ROOT,
        env={**environ, **ours, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ports = state / "venue.ports.json"
        until(ports.exists, 60, "the venue listens")
        at = f"127.0.0.1:{json.loads(ports.read_text())['port']}"
        yield {
            "TT_LAUNCHER_LIVE": "1",
            "TT_INGEST_RTDS_URL": f"ws://{at}/rtds",
            "TT_INGEST_DATA_API_URL": f"http://{at}/data",
            "TT_INGEST_RPC_URL": f"http://{at}/rpc",
            "TT_BOOKFEED_CLOB_WS_URL": f"ws://{at}/clob/ws/market",
            "TT_BOOKFEED_CLOB_URL": f"http://{at}/clob",
            "TT_BOOKFEED_GAMMA_URL": f"http://{at}/gamma",
        }
    finally:
        process.terminate()
        process.wait(timeout=60)
