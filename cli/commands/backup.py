"""`tt backup`: base backups of PostgreSQL, taken while orders go on, tried, and put back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cli import backups, places, replaying, schemas
from cli.command import Yes, ask, command, noun
from cli.errors import Failure, Status
from cli.output import Json, Shown

app = noun("Take, check and restore base backups of the database.")
_Directory = Annotated[Path, typer.Argument(help="The directory of the backup.")]


class Backup(msgspec.Struct, rename="camel", kw_only=True):
    """A backup that a server was started from."""

    directory: str
    bytes: int
    audited: int
    """Changes, orders and seals whose audit was verified."""
    orders: int
    subscriptions: int
    open_lots: int
    bots: int
    newest_event: str
    """The instant of the newest event of an order; empty: there is none."""


class Restored(msgspec.Struct, rename="camel", kw_only=True):
    """A run whose database is a backup now."""

    state: str
    data: str
    replaced: str
    """Where its database of before was moved; empty: there was none."""
    halted: bool


@command(app, "take", schemas.own(__name__, "Backup"))
def take(
    directory: Annotated[
        Path | None, typer.Argument(help="To make; below `.state/backups`, if none.")
    ] = None,
    database: Annotated[
        str,
        typer.Option("--database", help="URL of a role that may replicate.", show_default=False),
    ] = "",
) -> Shown:
    """Take a backup, and try it: a server is started from it and its audit verified.

    Without --database: of the database of the run that goes on. Keep it on another machine. The
    signer's master keys are not in it.
    """
    run = places.newest_run()
    url = replaying.database(database, run / "recording" if run is not None else Path())
    if not url:
        raise Failure(
            "no database is known: no run goes on, and none is named", Status.NO_PLACE,
            "--database URL, or set TT_DATABASE_URL",
        )  # fmt: skip
    if directory is None:
        directory = (
            (run.parent if run else Path.cwd()) / "backups" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
        )
    _notify("taking the backup, and starting a server from it ...")
    return _shown(backups.run(["take", directory], database=url))


@command(app, "check", schemas.own(__name__, "Backup"))
def check(
    directory: _Directory,
    database: Annotated[
        str, typer.Option("--database", help="The database's name in it; a run's is postgres.")
    ] = "postgres",
) -> Shown:
    """Start a server from a copy of a backup, verify its audit, and say how far it reaches."""
    _notify("starting a server from a copy ...")
    return _shown(backups.run(["check", directory, "--database", database]))


@command(app, "restore", schemas.own(__name__, "Restored"))
def restore(
    directory: _Directory,
    state: Annotated[
        Path, typer.Option("--state", help="State directory of a run that has ended, or a new one.")
    ],
    *,
    yes: Yes = False,
) -> Shown:
    """Make a backup the database of a run, with everything halted until you clear it.

    The database that is there is moved aside. Orders that left after the backup was taken are not
    in it: compare with insiders-api and the exchanges, then 'tt halt clear'.
    """
    ask(f"Make {directory} the database of {state}?", yes=yes)
    reported = backups.run(["restore", directory, "--state", state])
    lines = [f"restored to {reported['data']}"]
    if reported["replaced"]:
        lines.append(f"the database of before is in {reported['replaced']}")
    lines += [
        "everything is halted: compare open orders and positions with the exchanges first",
        f"then: make run STATE={reported['state']}, and tt halt clear",
    ]
    return Shown(data=reported, lines=lines)


def _shown(reported: Json) -> Shown:
    found = msgspec.convert(reported, Backup)
    reach = f"up to {found.newest_event}" if found.newest_event else "without an order"
    lines = [
        f"{found.directory}: {found.bytes / 2**20:.0f} MiB, {reach}",
        (
            f"{found.orders} orders, {found.subscriptions} subscriptions, {found.open_lots} open"
            f" lots, {found.bots} bots; audit whole ({found.audited} entries)"
        ),
    ]
    return Shown(data=reported, lines=lines)


def _notify(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(text + "\n")
