"""`tt backtest`: try settings on a leader's recorded trades."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

import typer

from cli import engine, schemas
from cli.command import command, noun
from cli.commands.subs import read_json
from cli.core.copies import sums, unknown
from cli.core.words import clock
from cli.errors import Failure, Status
from cli.output import Json, Shown

app = noun("Try other settings on recorded trades.")


@command(app, "backtest", schemas.rest("Backtest"))
def backtest(
    leader: Annotated[str, typer.Option("--leader", help="Whose recorded trades.")],
    settings: Annotated[
        str, typer.Option("--settings", help="JSON with sizing, limits, filters, exits; -: stdin.")
    ],
    first: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD, UTC.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day; today, if none.")] = "",
    budget: Annotated[str, typer.Option("--budget", help="USDC to begin with.")] = "",
) -> Shown:
    """Say what these settings would have made of a leader's recorded trades.

    Without --from: of the last 24 hours up to the end of --to.
    """
    body: Any = dict(read_json(settings)) | {"leader": leader}
    if first:
        body["fromMs"] = str(_start(first, "--from"))
    if last:
        body["toMs"] = str(_start(last, "--to", days=1) - 1)
    if budget:
        body["budget"] = budget
    reported: Json = dict(engine.rest().get_backtest(body))
    recorded = (
        f"recorded {clock(reported['recordedFrom'])} to {clock(reported['recordedTo'])}"
        if "recordedFrom" in reported
        else "nothing recorded"
    )
    lines = [
        (
            f"{reported['leader']}  {clock(reported['since'])} to"
            f" {clock(reported['until'])}, {recorded}:"
            f" {reported['trades']} trades"
        ),
        "",
        *sums(reported["outcome"]),
        *unknown(reported),
    ]
    return Shown(data=reported, lines=lines)


def _start(text: str, option: str, *, days: int = 0) -> int:
    """Return the first instant of so many days after a day, since 1970. Raises Failure."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except ValueError:
        raise Failure(f"{option} {text}: expected YYYY-MM-DD", Status.USAGE) from None
    return int(datetime.combine(day, time.min, UTC).timestamp() * 1000)
