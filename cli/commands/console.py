"""`tt console`: make an address that logs in to the console of a run, once."""

from __future__ import annotations

import time

import msgspec

from cli import engine, places, schemas
from cli.command import command, noun
from cli.errors import Failure, Status
from cli.output import Shown
from tradingtools import login_codes

app = noun("Make an address that logs in to the console, once.")


class Login(msgspec.Struct, rename="camel", kw_only=True):
    """An address that logs in once."""

    url: str
    good_seconds: int


@command(app, "console", schemas.own(__name__, "Login"))
def console() -> Shown:
    """Print an address that logs in with the run's own tokens, once, within ten minutes."""
    where = engine.place()
    if where.state is None:
        raise Failure(
            f"{where.name} is no run on this machine", Status.USAGE,
            "log in to its console with a token",
        )  # fmt: skip
    directory = where.state / "console"
    tokens = [token for token in (where.token, where.operator_token) if token]
    try:
        code = login_codes.leave(directory, tokens, time.time())
    except OSError as error:
        raise Failure(f"{directory}: {error.strerror}", Status.NO_ACCESS) from None
    found = Login(
        url=f"{places.read_note(where.state)['console_url']}#code={code}",
        good_seconds=login_codes.SECONDS,
    )
    return Shown(data=msgspec.to_builtins(found), lines=[found.url])
