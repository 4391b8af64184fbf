"""`tt logout`: end the session that `tt login` began."""

from __future__ import annotations

import msgspec

from cli import engine, schemas
from cli.command import command, noun
from cli.errors import Failure, Status
from cli.logins import Logins
from cli.output import Shown

app = noun("End the session that `tt login` began.")


class LoggedOut(msgspec.Struct, rename="camel", kw_only=True):
    """A session that ended; without a user there was none."""

    url: str
    user: str


@command(app, "logout", schemas.own(__name__, "LoggedOut"))
def logout() -> Shown:
    """End the session at the engine, then forget its tokens. May be repeated."""
    from tradingtools_client import ApiError, Client, Session

    where = engine.place()
    logins = Logins.at(where.url)
    kept = logins.kept()
    if kept is None:
        found = LoggedOut(url=where.url, user="")
        return Shown(data=msgspec.to_builtins(found), lines=["nobody is logged in here"])
    found = LoggedOut(url=where.url, user=kept.user)
    try:
        client = Client(Session(where.url, logins.access_token()))
        try:
            client.log_out()
        finally:
            client.close()
    except ApiError as error:
        if error.status != 401:
            raise
    except Failure as failure:
        # It was over before.
        if failure.status is not Status.NO_ACCESS:
            raise
    logins.forget()
    return Shown(data=msgspec.to_builtins(found), lines=[f"{found.user} is logged out"])
