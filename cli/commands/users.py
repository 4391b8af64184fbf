"""`tt users`: people who log in, what they may do, and what they did."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from cli import engine, schemas
from cli.command import Limit, Yes, ask, command, noun
from cli.core.words import clock, role_of
from cli.errors import Failure, Status
from cli.output import Column, Json, Shown

app = noun("List, create, change and disable people who log in.")
_ROLE = "ROLE_"
_ROLES = ("admin", "operator", "viewer")
_User = Annotated[str, typer.Argument(metavar="USER", help="The name, or the id, usr_...")]
_Role = Annotated[str, typer.Option("--role", "-r", help="admin, operator or viewer.")]
_Exchanges = Annotated[
    list[str],
    typer.Option(
        "--exchange", "-e", help="Of an operator, once for each: okx, polymarket. None is none."
    ),
]


class FirstAdmin(msgspec.Struct, rename="camel", kw_only=True):
    """A first admin, and what he logs in with once."""

    user_id: str
    one_time_password: str


def _may(one: Json) -> str:
    role = role_of(one["role"])
    return f"{role} of {' '.join(one['exchanges']) or 'none'}" if role == "operator" else role


_COLUMNS = (
    Column("NAME", lambda one: one["name"]),
    Column("MAY", _may),
    Column("STANDS", lambda one: "disabled" if one["disabled"] else "active"),
    Column("CHANGED", lambda one: clock(one["changedAt"])),
    Column("ID", lambda one: one["id"]),
)
_EVENTS = (
    Column("AT", lambda one: clock(one["occurredAt"])),
    Column("WHAT", lambda one: one["what"].replace("_", " ")),
    Column("BY", lambda one: one["actor"]),
    Column("FROM", lambda one: one["address"]),
    Column("USER", lambda one: one["userId"] or "nobody's name"),
    Column("DETAIL", lambda one: one["detail"]),
)


@command(app, "bootstrap", schemas.own(__name__, "FirstAdmin"))
def bootstrap(name: Annotated[str, typer.Argument(help="Of the admin.")]) -> Shown:
    """Make the first admin, by the operators' port; his one-time password is printed once."""
    engine.acting()
    made = engine.engine().make_first_admin(name)
    return Shown(data=made, lines=_once(name, made["oneTimePassword"]))


@command(app, "list", schemas.rest("User", many=True))
def list_(limit: Limit = 200) -> Shown:
    """List users, the oldest first."""
    rows = engine.first(engine.rest().all_users(), limit)
    return Shown(data=rows, columns=_COLUMNS, empty="no user")


@command(app, "show", schemas.rest("User"))
def show(user: _User) -> Shown:
    """Show a user."""
    return _shown(dict(engine.rest().get_user(_id_of(user))))


@command(app, "create", schemas.rest("CreatedUser"))
def create(
    name: Annotated[str, typer.Argument(help="Never used again.")],
    role: _Role,
    exchange: _Exchanges = [],  # noqa: B006 - Typer wants a list
    key: Annotated[
        str, typer.Option("--key", help="Idempotency-Key: the same one makes once.")
    ] = "",
) -> Shown:
    """Create a user; the one-time password is printed once."""
    engine.acting()
    body: Any = {"name": name, "role": _role(role), "exchanges": list(exchange)}
    made: Json = dict(engine.rest().create_user(body, idempotency_key=key or None))
    return Shown(data=made, lines=_once(name, made["oneTimePassword"]))


@command(app, "edit", schemas.rest("User"))
def edit(
    user: _User,
    role: _Role = "",
    exchange: Annotated[
        list[str], typer.Option("--exchange", "-e", help="The whole list, once for each; none.")
    ] = [],  # noqa: B006 - Typer wants a list
) -> Shown:
    """Change what a user may do, from the next request on."""
    if not role and not exchange:
        raise Failure("nothing to change", Status.USAGE, "--role or --exchange")
    engine.acting()
    body: Any = {"exchanges": list(exchange)} | ({"role": _role(role)} if role else {})
    return _shown(dict(engine.rest().update_user(_id_of(user), body)))


@command(app, "disable", schemas.rest("User"))
def disable(user: _User, yes: Yes = False) -> Shown:
    """Let a user in no more, and end what he has open."""
    engine.acting()
    ask(f"End all sessions of {user}, and let him in no more?", yes=yes)
    return _shown(dict(engine.rest().update_user(_id_of(user), {"disabled": True})))


@command(app, "enable", schemas.rest("User"))
def enable(user: _User) -> Shown:
    """Let a disabled user in again."""
    engine.acting()
    return _shown(dict(engine.rest().update_user(_id_of(user), {"disabled": False})))


@command(app, "reset-password", schemas.rest("OneTimePassword"))
def reset_password(user: _User, yes: Yes = False) -> Shown:
    """Give a user a one-time password, which is printed once, and end his sessions."""
    engine.acting()
    ask(f"End all sessions of {user}, and give a one-time password?", yes=yes)
    made: Json = dict(engine.rest().reset_password(_id_of(user)))
    return Shown(data=made, lines=_once(user, made["oneTimePassword"]))


@command(app, "events", schemas.rest("UserEvent", many=True))
def events(
    user: Annotated[str, typer.Argument(metavar="USER", help="Without one: of all.")] = "",
    limit: Limit = 50,
) -> Shown:
    """List logins, failures and changes, the newest first."""
    found = engine.rest().all_user_events(user_id=_id_of(user) if user else None)
    return Shown(data=engine.first(found, limit), columns=_EVENTS, empty="nothing happened")


def _role(text: str) -> str:
    if text not in _ROLES:
        raise Failure(f"--role: {text!r}: expected {', '.join(_ROLES)}", Status.USAGE)
    return f"{_ROLE}{text.upper()}"


def _id_of(user: str) -> str:
    """Return the id of a user by his name. Raises Failure: nobody has it."""
    if user.startswith("usr_"):
        return user
    for one in engine.rest().all_users():
        if one["name"] == user:
            return str(one["id"])
    raise Failure(f"nobody is called {user}", Status.NOT_FOUND, "`tt users list` has the names")


def _shown(one: Json) -> Shown:
    stands = ", disabled" if one["disabled"] else ""
    return Shown(data=one, lines=[f"{one['name']} is {_may(one)}{stands}"])


def _once(name: str, password: str) -> list[str]:
    if not password:
        return [f"{name} was made before; `tt users reset-password` gives another password"]
    return [
        f"{name} logs in with this password once, within 24 hours, and chooses another:",
        f"  {password}",
    ]
