"""Runs of `python -m replay`, the offline tool, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cli import places
from cli.errors import Failure, Status

Json = dict[str, Any]


def directory(given: Path | None) -> Path:
    """Return where recordings are: as given, as the environment says, or of the newest run.

    Raises:
        Failure: nobody has said where.
    """
    if given is not None:
        return given
    if named := os.environ.get("TT_RECORDING_DIR"):
        return Path(named)
    run = places.newest_run()
    if run is None:
        raise Failure(
            "no run below .state, and no recording is named", Status.NO_PLACE,
            "--recording DIR, or set TT_RECORDING_DIR",
        )  # fmt: skip
    return run / "recording"


def database(given: str, recording: Path) -> str:
    """Return the URL of the database with the journal; empty: nobody knows one that answers.

    Args:
        given: as an option or the environment says.
        recording: of a run on this machine, whose embedded database serves while it goes on.
    """
    if given or (given := os.environ.get("TT_DATABASE_URL", "")):
        return given
    run = recording.parent
    password = run / "postgres-password"
    if not (run / "run.json").is_file() or not password.is_file() or not places.is_running(run):
        return ""
    port = places.read_note(run)["ports"].get("postgres")
    secret = password.read_text(encoding="ascii").strip()
    return f"postgresql://postgres:{secret}@127.0.0.1:{port}/postgres" if port else ""


def analytics(recording: Path) -> Json:
    """Return where the analytical store is: as the environment says, or that of the run."""
    run = recording.parent
    named = any(os.environ.get(name) for name in ("TT_ANALYTICS_DIR", "TT_CLICKHOUSE_OWN_URL"))
    if named or not (run / "run.json").is_file():
        return {}
    return {"TT_ANALYTICS_DIR": str(run / "analytics")}


def run(
    arguments: Sequence[str], *, environ: Json | None = None, progress: Callable[[Json], None]
) -> Json:
    """Run the tool; returns its answer.

    Args:
        arguments: of its command line.
        environ: that it gets besides this process's own.
        progress: is told how far it is.

    Raises:
        Failure: it refuses the request, or ends without an answer.
    """
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "replay", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environ or {})},
    ) as child:
        answer: Json | None = None
        for line in child.stdout or ():
            reported = json.loads(line)
            if "progress" in reported:
                progress(reported["progress"])
            elif "error" in reported:
                raise Failure(reported["error"], Status.USAGE)
            else:
                answer = reported["answer"]
    if answer is None:
        raise Failure(f"the replay ended without an answer, status {child.returncode}",
                      Status.INTERNAL)  # fmt: skip
    return answer
