"""`tt whoami`: who the engine takes the caller for, and what he may do."""

from __future__ import annotations

import msgspec

from cli import engine, schemas
from cli.command import command, noun
from cli.output import Shown

app = noun("Say who the engine takes you for, and what you may do.")


class Who(msgspec.Struct, rename="camel", kw_only=True):
    """The caller, as the engine knows him."""

    place: str
    url: str
    id: str
    scope: str
    """read or manage."""
    role: str
    """admin, operator or viewer; empty: a token of a program."""
    exchanges: list[str]
    """Of an operator; empty: none."""
    operates: bool
    """The operators' port is known, and a token for it."""


@command(app, "whoami", schemas.own(__name__, "Who"))
def whoami() -> Shown:
    """Say who you are there, and what you may do."""
    where, caller = engine.place(), engine.rest().get_caller()
    found = Who(
        place=where.name, url=where.url, id=caller["id"], scope=caller["scope"],
        role=caller["role"], exchanges=caller["exchanges"], operates=engine.has_operator(),
    )  # fmt: skip
    may = f"may {found.scope}"
    if found.role:
        of = f" of {' '.join(found.exchanges) or 'no exchange'}" if found.role == "operator" else ""
        may = f"{found.role}{of}, {may}"
    return Shown(data=msgspec.to_builtins(found), lines=[f"{found.id} on {where.name}: {may}"])
