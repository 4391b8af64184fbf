"""Runs of `python -m backup`, the program that has PostgreSQL's own, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.errors import Failure, Status

Json = dict[str, Any]


def run(arguments: Sequence[str | Path], *, database: str = "") -> Json:
    """Run the program; returns its answer.

    Args:
        arguments: of its command line.
        database: URL of the server to take a backup from; in its environment, since everybody
            reads command lines.

    Raises:
        Failure: it refuses, or ends without an answer.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "backup", *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, check=False,
        env={**os.environ, **({"TT_DATABASE_URL": database} if database else {})},
    )  # fmt: skip
    try:
        reported: Json = json.loads(done.stdout)
    except ValueError:
        raise Failure(
            f"the backup ended without an answer, status {done.returncode}", Status.INTERNAL
        ) from None
    if "error" in reported:
        raise Failure(reported["error"], Status.CONFLICT)
    answer: Json = reported["answer"]
    return answer
