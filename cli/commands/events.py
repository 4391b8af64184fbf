"""`tt events`: the log of events, page by page or live."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli import engine, event_log, schemas
from cli.command import Wallet, command, noun
from cli.core.words import short
from cli.output import Column, Format, Json, Shown, ndjson, plain, say

if TYPE_CHECKING:
    from tradingtools_client.session import ServerSentEvent

app = noun("List or follow the log of events.")
_PAGE = 50
_TOLD = ("reason", "state", "status", "side", "size", "filledSize", "shares", "detail", "process",
         "leaderTx")  # fmt: skip


def _says(event: Json) -> str:
    data = event.get("data", {})
    reported = [f"{name}={data[name]}" for name in _TOLD if data.get(name)]
    return " ".join(reported)


_COLUMNS = (
    Column("NUMBER", lambda event: event["sequence"], right=True),
    Column("TIME", lambda event: event["time"][:23].replace("T", " ")),
    Column("TYPE", lambda event: event["type"]),
    Column("SUBJECT", lambda event: _subject(event["subject"])),
    Column("", _says),
)


def _subject(subject: str) -> str:
    kind, slash, rest = subject.partition("/")
    return f"{kind}{slash}{rest if rest.startswith('sub_') else short(rest)}"


@command(app, "events", schemas.rest("CloudEvent", many=True))
def events(
    output: Format,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens.", show_default=False)
    ] = False,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--type", "-t", help="order.filled, or order.* for all of a kind; repeatable."
        ),
    ] = None,
    wallet: Wallet = "",
    sub: Annotated[str, typer.Option("--sub", help="Only of this subscription, sub_...")] = "",
    after: Annotated[
        int, typer.Option("--after", min=-1, help="From this number on; -1: the newest.")
    ] = -1,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help="At most so many; 50, with --follow all."),
    ] = None,
) -> Shown | None:
    """List events, the newest by default, oldest first; --follow goes on, --json in lines."""
    types = ",".join(kind or ())
    if follow:
        _follow(output, types, wallet, sub, after, limit)
        return None
    rows = _pages(types, wallet, sub, after, limit or _PAGE)
    return Shown(data=rows, columns=_COLUMNS, empty="no such event")


def _pages(types: str, wallet: str, sub: str, after: int, limit: int) -> list[Json]:
    log = engine.engine()
    if after >= 0:
        return event_log.after(log, after, types=types, wallet=wallet, sub=sub, limit=limit)
    return event_log.latest(log, types=types, wallet=wallet, sub=sub, limit=limit)


def _follow(
    output: Format, types: str, wallet: str, sub: str, after: int, limit: int | None
) -> None:
    stream = engine.rest().follow_events(
        after=None if after < 0 else after, types=types or None, wallet=wallet or None,
        subscription=sub or None,
    )  # fmt: skip
    for event in _some(stream, limit):
        say(plain(_line(event)) if output is Format.TABLE else ndjson(event))


def _line(event: Json) -> str:
    head = f"{event['sequence']:>8} {event['time'][11:23]} {event['type']:<22}"
    return f"{head} {_subject(event['subject'])}  {_says(event)}".rstrip()


def _some(stream: Iterator[ServerSentEvent], limit: int | None) -> Iterator[Json]:
    for number, reported in enumerate(stream, start=1):
        yield json.loads(reported.data)
        if number == limit:
            return
