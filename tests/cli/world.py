"""`tt` as a person calls it, on an edge with everything behind it that `tt` calls."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import psycopg

from cli import engine
from cli.__main__ import main
from cli.app import module_of
from cli.command import verbs_of
from tests.control.edge import MANAGE, OPERATE, ROOT
from tests.control.requests import Database
from tests.events.edge import Listening

_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """The answer of a call of `tt`."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return standard output as JSON."""
        return json.loads(self.out)


def call(*arguments: str, environ: dict[str, str], stdin: str = "", cwd: Path = ROOT) -> Said:
    """Run `tt` in this process: it starts in no time, and does what a process of its own does."""
    out, err = io.StringIO(), io.StringIO()
    full = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ}
    with (
        mock.patch.dict(os.environ, full, clear=True),
        mock.patch("sys.stdin", io.StringIO(stdin)),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main(arguments)
        except SystemExit as ended:
            return Said(int(ended.code or 0), out.getvalue(), err.getvalue())
        finally:
            engine.forget()
    raise AssertionError("it did not end")


def spawn(*arguments: str, environ: dict[str, str], cwd: Path = ROOT) -> Said:
    """Run `tt` as a person does."""
    ended = subprocess.run(
        [ROOT / "tt", *arguments], cwd=cwd, check=False, capture_output=True, text=True,
        timeout=_SECONDS, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ},
    )  # fmt: skip
    return Said(ended.returncode, ended.stdout, ended.stderr)


@functools.cache
def schema(*words: str) -> jsonschema.Draft202012Validator:
    """Return what `tt schema` says of a command."""
    reported = call("schema", *words, environ={})
    assert reported.status == 0, reported
    return jsonschema.Draft202012Validator(
        reported.json, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def fits(answer: Any, *words: str) -> None:
    """See that an answer is as its schema says; a schema that admits everything is none."""
    judge = schema(*words)
    judge.validate(answer)
    assert not judge.is_valid([{"nobody": "has this"}]), words
    assert not judge.is_valid({"nobody": "has this"}), words


@dataclass(frozen=True, slots=True)
class World:
    """An edge, and how `tt` is told of it."""

    edge: Listening
    database: Database
    directory: Path
    """Of its stores beside the database."""

    @property
    def environ(self) -> dict[str, str]:
        """Return what a shell has that talks to it."""
        return {
            "TT_URL": self.edge.url,
            "TT_TOKEN": MANAGE,
            "TT_OPERATOR": f"127.0.0.1:{self.edge.ports['inside']}",
            "TT_OPERATOR_TOKEN": OPERATE,
        }

    def tt(self, *arguments: str, stdin: str = "", **environ: str) -> Said:
        """Call `tt` on it."""
        return call(*arguments, environ=self.environ | environ, stdin=stdin)

    def json(self, *arguments: str, stdin: str = "", status: int = 0, **environ: str) -> Any:
        """Call it for JSON, and see that it is as its schema says."""
        said = self.tt(*arguments, "--json", stdin=stdin, **environ)
        assert said.status == status, said
        name = arguments[0]
        alone = name in verbs_of(module_of(name))
        fits(said.json, *arguments[: 1 if alone else 2])
        return said.json


@contextmanager
def world(directory: Path, database_url: str, redis_url: str) -> Iterator[World]:
    """Start an edge with the log and webhooks behind it, and end it."""
    edge = Listening(directory, database_url, redis_url, trusted=("127.0.0.1/32",))
    edge.environment |= {
        "TT_CONTROL_LOGIN_SECRET": "5e" * 32,
        "TT_EVENTS_STREAM_LIFE_SECONDS": "2",
        "TT_CONTROL_ENGINE_TARGETS": f"events=127.0.0.1:{edge.ports['events']}",
        "TT_WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
        "TT_ANALYTICS_DIR": str(directory / "analytics"),
        "TT_RECORDING_DIR": str(directory / "recording"),
    }
    try:
        for name in ("control", "events", "webhooks", "envoy"):
            edge.start(name)
        for path in ("/events?limit=1", "/webhook-endpoints", "/health/engine"):
            edge.wait_until_ready(path)
        edge.wait_for_operators()
        with psycopg.connect(
            database_url, autocommit=True, row_factory=psycopg.rows.dict_row
        ) as connection:
            yield World(edge, connection, directory)
    finally:
        edge.close()
