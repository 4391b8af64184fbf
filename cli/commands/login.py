"""`tt login`: log in with a name and a password; later calls of `tt` are this person's."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import Annotated, Any

import msgspec
import typer

from cli import engine, schemas
from cli.command import command, noun
from cli.core.words import role_of
from cli.errors import Failure, Status
from cli.logins import Logins
from cli.output import Shown

app = noun("Log in with a name and a password.")


class LoggedIn(msgspec.Struct, rename="camel", kw_only=True):
    """The person who has logged in, and his session."""

    place: str
    url: str
    user: str
    role: str
    exchanges: list[str]
    session_id: str
    session_expires_at: str


@command(app, "login", schemas.own(__name__, "LoggedIn"))
def login(
    name: Annotated[str, typer.Argument(metavar="USER", help="Your name.")],
    change: Annotated[
        bool, typer.Option("--change-password", help="Choose another password.")
    ] = False,
    stdin: Annotated[
        bool,
        typer.Option(
            "--stdin", help="Read the password from standard input, a new one from a second line."
        ),
    ] = False,
) -> Shown:
    """Log in. The password is asked for; a one-time password is followed by one of your own."""
    from tradingtools_client import ApiError, Client, Session

    engine.acting()
    where = engine.place()
    before = Logins.at(where.url).kept()
    # Once: a second try would be a second guess.
    client = Client(Session(where.url, "", headers={"Client-Name": "tt"}, tries=1))
    try:
        body: Any = {"user": name, "password": _line() if stdin else _typed("password: ")}
        new = _line() if stdin else _new() if change else ""
        try:
            tokens: Any = client.log_in(body | ({"newPassword": new} if new else {}))
        except ApiError as error:
            if stdin or new or error.metadata.get("field") != "newPassword":
                raise
            sys.stderr.write("this password was for one login: choose one of your own\n")
            tokens = client.log_in(body | {"newPassword": _new()})
    finally:
        client.close()
    Logins.at(where.url).keep(tokens)
    if before is not None:
        _end(where.url, before.access_token)
    found = LoggedIn(
        place=where.name, url=where.url, user=tokens["user"], role=role_of(tokens["role"]),
        exchanges=tokens["exchanges"], session_id=tokens["sessionId"],
        session_expires_at=tokens["sessionExpiresAt"],
    )  # fmt: skip
    return Shown(
        data=msgspec.to_builtins(found), lines=[f"logged in as {found.user}, {found.role}"]
    )


def _end(url: str, token: str) -> None:
    """End the session before; it may be over already."""
    from tradingtools_client import ApiError, Client, Session, Unreachable

    client = Client(Session(url, token, tries=1))
    try:
        client.log_out()
    except (ApiError, Unreachable):
        pass
    finally:
        client.close()


def _typed(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise Failure("nobody is there to ask for the password", Status.USAGE, "--stdin reads it")
    return getpass(prompt)


def _new() -> str:
    new = _typed("new password, 12 characters or more: ")
    if _typed("the same again: ") != new:
        raise Failure("the two differ; nothing was done", Status.USAGE)
    return new


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")
