"""`tt portfolio`: what all bots hold and have made, paper and live apart."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import engine, schemas
from cli.command import command, noun
from cli.output import Json, Shown

app = noun("Show what all bots hold and have made.")


@command(app, "portfolio", schemas.rest("Portfolio"))
def show(
    tenant: Annotated[str, typer.Option("--tenant", help="Of this one; empty: of all.")] = "",
) -> Shown:
    """Show result, exposure and today's gain; paper and live are never summed."""
    found: Json = dict(engine.rest().get_portfolio(tenant=tenant or None))
    lines = [line for part in found["parts"] for line in _lines(part)]
    return Shown(data=found, lines=lines or ["no bot has traded"])


def _lines(part: Json) -> list[str]:
    kind = "live" if part["live"] else "paper"
    age = f", oldest mark {part['markAgeMs']} ms" if "markAgeMs" in part else ""
    missing = f", {part['unmarked']} positions without a mark" if part["unmarked"] else ""
    lines = [
        f"{part['bots']} bots, {kind}, in {part['currency']}:",
        f"  result {part['result']}, today {part['today']}",
        f"  holds {part['gross']} gross, {part['net']} net{age}{missing}",
    ]
    for one in (*part["byExchange"], *part["byInstrument"]):
        lines.append(
            f"  {one['name']}: result {one['result']}, gross {one['gross']}, net {one['net']}"
        )
    return lines
