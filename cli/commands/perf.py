"""`tt perf`: what a subscription has gained, and how well it was copied."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli import engine, schemas
from cli.command import Limit, command, noun
from cli.core.words import clock, duration, short
from cli.output import Column, Json, Shown

app = noun("Show what a subscription has gained, and how well it was copied.")
_Sub = Annotated[str, typer.Argument(metavar="SUB", help="A subscription's id, sub_...")]


class Interval(StrEnum):
    """Steps of a series."""

    HOUR = "1h"
    DAY = "1d"


class By(StrEnum):
    """Groups of copies."""

    ORDER = "order"
    MARKET = "market"
    HOUR = "hour"


def _delay(group: Json) -> str:
    return duration(int(group["delayP50Us"]) / 1e6) if "delayP50Us" in group else ""


_POINTS = (
    Column("AT", lambda point: clock(point.get("at"))),
    *(
        Column(title, lambda point, name=name: point.get(name), right=True)  # type: ignore[misc]
        for title, name in (
            ("EQUITY", "equity"), ("REALISED", "realised"), ("MARKED", "marked"),
            ("FEES", "fees"), ("DRAWDOWN", "drawdown"), ("COST HELD", "openCost"),
        )
    ),
)  # fmt: skip
_GROUPS = (
    Column("OF", lambda group: group["key"] if ":" in group["key"] else short(group["key"])),
    Column("ORDERS", lambda group: group["orders"], right=True),
    Column("FILLED", lambda group: group["filledOrders"], right=True),
    Column("USDC", lambda group: group["notional"], right=True),
    Column("SLIPPAGE", lambda group: group["slippage"], right=True),
    Column("FEES", lambda group: group["fees"], right=True),
    Column("MADE", lambda group: group.get("made"), right=True),
    Column("HE MADE", lambda group: group.get("leaderMade"), right=True),
    Column("DELAY", _delay, right=True),
)


@command(app, "show", schemas.rest("PerformancePoint", many=True))
def show(
    sub: _Sub,
    interval: Annotated[Interval, typer.Option("--interval", "-i", help="Of the points.")] = (
        Interval.HOUR
    ),
) -> Shown:
    """Show equity, profit and drawdown as a series, USDC, the oldest first."""
    found = engine.rest().get_subscription_performance(sub, interval=interval.value)
    return Shown(
        data=[dict(point) for point in found["points"]], columns=_POINTS, empty="no point yet"
    )


@command(app, "quality", schemas.rest("CopyGroup", many=True))
def quality(
    sub: _Sub,
    by: Annotated[By, typer.Option("--by", help="Each order, market or hour.")] = By.MARKET,
    limit: Limit = 50,
) -> Shown:
    """Show how well copies were made: slippage, fees and delay, beside what the leader made."""
    rows = engine.rest().all_subscription_copy_quality(sub, by=by.value)
    return Shown(data=engine.first(rows, limit), columns=_GROUPS, empty="nothing was copied")
