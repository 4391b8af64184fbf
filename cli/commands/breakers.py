"""`tt breakers`: the circuit breakers of what the executors depend on."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import engine, schemas
from cli.command import Yes, ask, command, noun
from cli.core.words import bare, clock
from cli.output import Column, Shown

app = noun("List circuit breakers, or close one.")
_COLUMNS = (
    Column("DEPENDENCY", lambda breaker: breaker["dependency"]),
    Column("STATE", lambda breaker: bare(breaker["state"], "BREAKER_STATE_").lower()),
    Column("OPENED", lambda breaker: breaker["openings"], right=True),
    Column("NEXT TRY", lambda breaker: clock(breaker.get("retryAt"))),
    Column("REASON", lambda breaker: breaker["reason"]),
)


@command(app, "list", schemas.operator("Breaker", many=True))
def list_() -> Shown:
    """List breakers; an open one lets nothing through to its dependency."""
    return Shown(
        data=engine.operate("ListBreakers")["breakers"], columns=_COLUMNS,
        empty="no breaker has ever opened",
    )  # fmt: skip


@command(app, "reset", schemas.operator("Breaker"))
def reset(
    dependency: Annotated[str, typer.Argument(help="insiders-api, for instance.")],
    yes: Yes = False,
) -> Shown:
    """Close a breaker without waiting for its next try."""
    engine.acting()
    ask(f"Close {dependency} and send to it again at once?", yes=yes)
    breaker = engine.operate("ResetBreaker", dependency=dependency)["breaker"]
    return Shown(data=breaker, lines=[f"{dependency} is closed"])
