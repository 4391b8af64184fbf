"""`tt replay`: judge a recorded day again, and say what differs first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cli import replaying, schemas
from cli.command import command, noun
from cli.core.replay import Replayed, lines
from cli.errors import Status
from cli.output import Json, Shown

app = noun("Judge a recorded day again, and say what differs first.")
Recording = Annotated[
    Path | None,
    typer.Option("--recording", help="Directory of the recordings; of the newest run, if none."),
]


@command(app, "replay", schemas.own("cli.core.replay", "Replayed"))
def replay(
    day: Annotated[
        str, typer.Argument(metavar="[DAY]", help="YYYY-MM-DD, UTC; the newest, if none.")
    ] = "",
    recording: Recording = None,
    database: Annotated[
        str,
        typer.Option(
            "--database",
            help="URL of PostgreSQL: compare with its journal, too.",
            show_default=False,
        ),
    ] = "",
) -> Shown:
    """Judge a recorded day again by the code of this checkout, and compare.

    What the router read for each judgement was recorded, and so was what it decided. The answer is
    "same", or the first difference: which trade, which follower, which field, and why. The
    database that is named, or that of a run that goes on, says whether its journal has the same.
    """
    where = replaying.directory(recording)
    arguments = ["day", *([day] if day else []), "--recording", str(where)]
    url = replaying.database(database, where)
    if url:
        # In the environment: the command line of a process is everybody's to read.
        arguments.append("--database")
    environ = {"TT_DATABASE_URL": url, **replaying.analytics(where)}
    answer = replaying.run(arguments, environ=environ, progress=notify)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    reported = msgspec.convert(answer, Replayed)
    status = Status.OK if reported.same else Status.NOT_WELL
    return Shown(data=answer, lines=lines(reported), status=status)


def notify(progress: Json) -> None:
    """Show on a terminal how far it is."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{progress['judgements']} judged, {progress['different']} differ")
        sys.stderr.flush()
