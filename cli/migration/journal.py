"""The steps that a batch has done, in a file of its own: a line for each, durable at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cli.errors import Failure, Status

Json = dict[str, Any]


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where journals are unless a call names another place."""
    base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "tt" / "migrations"


class Journal:
    """One batch.

    Args:
        directory: of all journals; made.
        batch: its id.
    """

    def __init__(self, directory: Path, batch: str) -> None:
        self.batch = batch
        self._path = directory / f"{batch}.ndjson"

    @property
    def exists(self) -> bool:
        """Return whether anything of it was done from here."""
        return self._path.exists()

    def open(self) -> None:
        """Raise Failure: nobody has applied such a batch from here."""
        if not self.exists:
            known = sorted(path.stem for path in self._path.parent.glob("*.ndjson"))
            reported = ", ".join(known) or "none"
            raise Failure(f"no batch {self.batch} in {self._path.parent}; there are: {reported}",
                          Status.NOT_FOUND, "--journal names another folder")  # fmt: skip

    def add(self, **step: Any) -> None:
        """Write a step down; it is durable when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(step, separators=(",", ":")) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def steps(self) -> Iterator[Json]:
        """Return the steps; the last one may be cut off by a kill, and was not done then."""
        if not self.exists:
            return
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def last(self, kind: str) -> dict[str, Json]:
        """Return the newest step of a kind for each old id."""
        return {step["old"]: step for step in self.steps() if step["step"] == kind}

    @property
    def rolled_back(self) -> bool:
        """Return whether it was taken back whole."""
        return any(step["step"] == "rolled back" for step in self.steps())


def batch_of(directory: Path, name: str, plan_hash: str) -> Journal:
    """Return the batch of a plan: the one that was begun, or a new one when that was taken back."""
    generation = 1
    while True:
        end = "" if generation == 1 else f"-{generation}"
        journal = Journal(directory, f"{name}-{plan_hash[:12]}{end}")
        if not journal.rolled_back:
            return journal
        generation += 1
