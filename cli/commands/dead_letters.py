"""`tt dead-letters`: messages that a process could not handle and went on without."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from cli import engine, schemas
from cli.command import Limit, Yes, ask, command, noun
from cli.core.words import clock
from cli.output import Column, Json, Shown

app = noun("List messages that were set aside, or have one handled again.")


def _stands(message: Json) -> str:
    if "replayedAt" in message:
        return "handled again"
    return "waits for its reader" if "replayRequestedAt" in message else "set aside"


_COLUMNS = (
    Column("ID", lambda message: message["id"], right=True),
    Column("READER", lambda message: message["consumer"]),
    Column("STREAM", lambda message: message["stream"]),
    Column("SINCE", lambda message: clock(message["quarantinedAt"])),
    Column("STANDS", _stands),
    Column("REASON", lambda message: message["reason"]),
)


@command(app, "list", schemas.operator("DeadLetter", many=True))
def list_(
    reader: Annotated[str, typer.Option("--reader", help="Only of this one, `guard-0`.")] = "",
    limit: Limit = 50,
) -> Shown:
    """List them, the newest first."""
    found = engine.operate_pages("ListDeadLetters", "deadLetters", limit=limit, consumer=reader)
    return Shown(data=found, columns=_COLUMNS, empty="no message was set aside")


@command(app, "replay", schemas.operator("DeadLetter"))
def replay(
    message: Annotated[int, typer.Argument(min=1, help="Its id.")], yes: Yes = False
) -> Shown:
    """Have one handled again by its reader, soon. Mend the cause first."""
    engine.acting()
    ask(f"Hand message {message} to its reader again?", yes=yes)
    answer = engine.operate("ReplayDeadLetter", id=message, operator=getpass.getuser())[
        "deadLetter"
    ]
    return Shown(data=answer, lines=[f"message {message}: {_stands(answer)}"])
