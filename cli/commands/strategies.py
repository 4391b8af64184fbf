"""`tt strategies`: the strategies that bots can have, and what their settings are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import engine, schemas
from cli.command import command, noun
from cli.output import Column, Json, Shown, table

app = noun("List the strategies of bots; show the settings of one.")


def _default(setting: Json) -> str:
    return "needed" if setting["required"] else str(setting.get("default", "none"))


def _bounds(setting: Json) -> str:
    low, high = setting.get("minimum", ""), setting.get("maximum", "")
    return f"{low} to {high}" if low or high else ""


_COLUMNS = (
    Column("STRATEGY", lambda one: one["name"]),
    Column("SETTINGS", lambda one: str(len(one["settings"])), right=True),
    Column("WHAT IT IS", lambda one: one["description"].partition(". ")[0]),
)
_SETTINGS = (
    Column("SETTING", lambda one: one["name"]),
    Column("TYPE", lambda one: one["type"]),
    Column("UNIT", lambda one: one["unit"]),
    Column("DEFAULT", _default),
    Column("BOUNDS", _bounds),
    Column("CHANGES", lambda one: "any time" if one["changeable"] else "before the start"),
    Column("MEANING", lambda one: one["description"]),
)


@command(app, "list", schemas.rest("Strategy", many=True))
def list_() -> Shown:
    """List strategies, by name."""
    rows: list[Any] = [dict(one) for one in engine.rest().list_strategies()["strategies"]]
    return Shown(data=rows, columns=_COLUMNS, empty="no strategy")


@command(app, "show", schemas.rest("Strategy"))
def show(
    name: Annotated[str, typer.Argument(metavar="STRATEGY", help="As `list` has it.")],
) -> Shown:
    """Show the settings of a strategy: units, defaults, bounds, and what they mean."""
    found: Json = dict(engine.rest().get_strategy(name))
    lines = [found["description"], "", *table(found["settings"], _SETTINGS).splitlines()]
    return Shown(data=found, lines=lines)
