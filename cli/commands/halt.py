"""`tt halt`: stop sending, and allow it again. It never asks."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import engine, schemas
from cli.command import NeverAsks, command, noun
from cli.core.why import option_of
from cli.core.words import bare, clock
from cli.errors import Failure, Status
from cli.output import Column, Json, Shown

app = noun("Stop sending, at once. Never asks; `clear` allows it again.")

_All = Annotated[bool, typer.Option("--all", help="Everything.", show_default=False)]
_Wallet = Annotated[str, typer.Option("--wallet", help="A follower's wallet.", show_default=False)]
_Leader = Annotated[str, typer.Option("--leader", help="A leader's wallet.", show_default=False)]
_Market = Annotated[str, typer.Option("--market", help="A market's condition.", show_default=False)]

_COLUMNS = (
    Column("SCOPE", lambda halt: bare(halt["scope"], "HALT_SCOPE_").lower()),
    Column("SUBJECT", lambda halt: halt["subject"] or "everything"),
    Column("MODE", lambda halt: bare(halt["mode"], "HALT_MODE_").lower()),
    Column("SINCE", lambda halt: clock(halt.get("setAt"))),
    Column("REASON", lambda halt: halt["reason"]),
)


def _scope(*, all_: bool, wallet: str, leader: str, market: str) -> Json:
    given: list[tuple[str, str]] = [
        (name, subject)
        for name, subject in (("WALLET", wallet), ("LEADER", leader), ("MARKET", market))
        if subject
    ]
    if all_:
        given.append(("GLOBAL", ""))
    if len(given) != 1:
        raise Failure(
            "say what: exactly one of --all, --wallet, --leader and --market", Status.USAGE
        )
    ((name, subject),) = given
    return {"scope": f"HALT_SCOPE_{name}", "subject": subject}


@command(app, "set", schemas.operator("SetHaltResponse"))
def set_(
    all_: _All = False, wallet: _Wallet = "", leader: _Leader = "", market: _Market = "",
    reducing: Annotated[
        bool, typer.Option("--reducing", help="Exits go on; only entries stop.", show_default=False)
    ] = False,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Kept in the audit.")] = "by hand",
    _yes: NeverAsks = False,
) -> Shown:  # fmt: skip
    """Stop sending. When it has answered, nothing that it forbids leaves any more."""
    engine.acting()
    requested: dict[str, Any] = _scope(all_=all_, wallet=wallet, leader=leader, market=market)
    mode = "HALT_MODE_REDUCING" if reducing else "HALT_MODE_HALTED"
    answer = engine.operate("SetHalt", **requested, mode=mode, reason=reason)
    halt = answer["halt"]
    flying = answer["inFlightOrderKeys"]
    lines = [
        f"halted: {halt['subject'] or 'everything'}"
        + (" (only sells)" if reducing else "")
        + f"; lift it with: tt halt clear {option_of(halt)}"
    ]
    if flying:
        lines.append("under way already, and may be filled:")
        lines += [f"  tt orders show {key}" for key in flying[:10]]
    return Shown(data=answer, lines=lines)


@command(app, "clear", schemas.operator("ListHaltsResponse"))
def clear(
    all_: _All = False, wallet: _Wallet = "", leader: _Leader = "", market: _Market = ""
) -> Shown:
    """Allow sending again, and tell what is halted still."""
    engine.acting()
    engine.operate("ClearHalt", **_scope(all_=all_, wallet=wallet, leader=leader, market=market))
    left = engine.operate("ListHalts")
    halts = left["halts"]
    said = f"cleared; {len(halts)} other halts are in force: tt halt list" if halts else (
        "cleared; nothing is halted"
    )  # fmt: skip
    return Shown(data=left, lines=[said])


@command(app, "list", schemas.operator("Halt", many=True))
def list_() -> Shown:
    """List what is halted now."""
    return Shown(
        data=engine.operate("ListHalts")["halts"], columns=_COLUMNS, empty="nothing is halted"
    )
