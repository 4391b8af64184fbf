"""`tt exchanges`: exchanges that wallets can be of."""

from __future__ import annotations

from cli import engine, schemas
from cli.command import command, noun
from cli.output import Column, Shown

app = noun("List exchanges that wallets can be of, and what their credentials are.")
_COLUMNS = (
    Column("EXCHANGE", lambda one: one["name"]),
    Column("TRADES", lambda one: " ".join(one["kinds"])),
    Column("IN", lambda one: " ".join(one["environments"])),
    Column("CREDENTIALS", lambda one: " ".join(one["credentials"])),
    Column("MODES", lambda one: ", ".join(one["modes"])),
)


@command(app, "exchanges", schemas.rest("Exchange", many=True))
def exchanges() -> Shown:
    """List exchanges that wallets can be of, and what their credentials are."""
    found = engine.rest().list_exchanges()
    rows = [dict(one) for one in found["exchanges"]]
    return Shown(data=rows, columns=_COLUMNS, empty="no exchange")
