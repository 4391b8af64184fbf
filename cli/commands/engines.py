"""`tt engines`: processes that trade for the wallets of bots: looked at and drained."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import engine, schemas
from cli.command import Yes, ask, command, noun
from cli.core.words import bare, clock
from cli.output import Column, Json, Shown

app = noun("List engines of bots; drain one, so that the others take its wallets.")
_STATE = "BOT_ENGINE_STATE_"
_Engine = Annotated[str, typer.Argument(metavar="ENGINE", help="Its name, bots-1.")]


def _stands(one: Json) -> str:
    state = bare(one["state"], _STATE).lower()
    return f"{state}, by {one['drainActor']}" if state.startswith("drain") else state


_COLUMNS = (
    Column("ENGINE", lambda one: one["name"]),
    Column("STANDS", _stands),
    Column("EXCHANGES", lambda one: " ".join(one["exchanges"]) or "none"),
    Column("WALLETS", lambda one: str(len(one["wallets"])), right=True),
    Column("BOTS", lambda one: f"{one['bots']} of {one['capacity']}", right=True),
    Column("LAG", lambda one: f"{one['loopLagMs']} ms", right=True),
    Column("VERSION", lambda one: one["programVersion"]),
    Column("STARTED", lambda one: clock(one["startedAt"])),
    Column("SEEN", lambda one: clock(one["seenAt"])),
)


@command(app, "list", schemas.rest("BotEngine", many=True))
def list_() -> Shown:
    """List engines by name, and the wallets that wait for one."""
    found = engine.rest().list_bot_engines()
    waiting = found["waitingWallets"]
    lines = [f"{one} waits: no engine has room for it and can its exchange" for one in waiting]
    rows = [dict(one) for one in found["engines"]]
    return Shown(data=rows, columns=_COLUMNS, lines=lines, empty="no engine")


@command(app, "drain", schemas.rest("BotEngine"))
def drain(name: _Engine, yes: Yes = False) -> Shown:
    """Have an engine hand its wallets over and take none."""
    engine.acting()
    ask(f"Have {name} hand its wallets over?", yes=yes)
    return _reported(engine.rest().drain_bot_engine(name))


@command(app, "undrain", schemas.rest("BotEngine"))
def undrain(name: _Engine) -> Shown:
    """Let a drained engine take wallets again."""
    engine.acting()
    return _reported(engine.rest().undrain_bot_engine(name))


def _reported(found: Any) -> Shown:
    one = dict(found)
    wallets = len(one["wallets"])
    left = "no wallets" if not wallets else f"{wallets} wallet{'s' if wallets > 1 else ''}"
    return Shown(data=one, lines=[f"{one['name']} is {_stands(one)}; it has {left}"])
