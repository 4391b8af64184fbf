"""`tt leaders`: who is worth following, by the newest snapshot of enrichment."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from cli import engine, schemas
from cli.command import Limit, command, noun
from cli.core.copies import sums, unknown
from cli.core.words import bare, clock, duration
from cli.output import Column, Json, Shown

app = noun("Rank leaders; show what is known of one.")


class Sort(StrEnum):
    """Figures that leaders are ranked by."""

    COPYABILITY = "copyability"
    EDGE = "edge"
    PROFIT = "profit"
    ROI = "roi"
    WIN_RATE = "winRate"
    SHARPE = "sharpe"
    VOLUME = "volume"
    TRADES = "trades"


class Window(StrEnum):
    """Reaches of the figures."""

    DAY = "1d"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"
    ALL = "all"


def _window(leader: Json, name: str) -> Json:
    found: Json = next((one for one in leader["performance"] if one["window"] == name), {})
    return found


def _ratio(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def _gaps(leader: Json) -> list[str]:
    return [bare(gap, "EVIDENCE_GAP_").lower().replace("_", " ") for gap in leader["gaps"]]


def _columns(window: str) -> tuple[Column, ...]:
    return (
        Column("LEADER", lambda leader: leader["wallet"]),
        Column("SCORE", lambda leader: _ratio(leader.get("score")), right=True),
        Column("EDGE", lambda leader: _ratio(leader.get("edge")), right=True),
        Column("TRADES", lambda leader: _window(leader, window).get("trades"), right=True),
        Column("REALISED", lambda leader: _window(leader, window).get("realised"), right=True),
        Column("LATENCY", lambda leader: bare(leader["latencyClass"], "LATENCY_CLASS_").lower()),
        Column("LAST TRADE", lambda leader: clock(leader.get("lastTradeAt"))),
        Column("NO EVIDENCE, BECAUSE", lambda leader: ", ".join(_gaps(leader))),
    )


@command(app, "top", schemas.rest("Leader", many=True))
def top(
    sort: Annotated[Sort, typer.Option("--sort", "-s", help="What they are ranked by.")] = (
        Sort.COPYABILITY
    ),
    window: Annotated[Window, typer.Option("--window", "-w", help="Of the figures.")] = Window.ALL,
    min_trades: Annotated[int, typer.Option("--min-trades", min=0)] = 0,
    category: Annotated[str, typer.Option("--category", help="Only of this one, `sports`.")] = "",
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Only with evidence.", show_default=False)
    ] = False,
    limit: Limit = 20,
) -> Shown:
    """Rank leaders: those whose record is evidence first."""
    rows = engine.rest().all_leaders(
        sort=sort.value, window=window.value, min_trades=min_trades, category=category or None,
        evidence=evidence or None,
    )  # fmt: skip
    return Shown(
        data=engine.first(rows, limit), columns=_columns(window),
        empty="no leader: nothing has been computed yet, or nobody fits",
    )  # fmt: skip


@command(app, "show", schemas.rest("Leader"))
def show(
    wallet: Annotated[str, typer.Argument(help="The leader's wallet.")],
) -> Shown:
    """Show what is known of a leader."""
    found: Json = dict(engine.rest().get_leader(wallet))
    gaps = ", ".join(_gaps(found))
    lines = [
        f"{found['wallet']}  as of {clock(found.get('asOf'))}",
        f"  no evidence that he is worth following: {gaps}" if gaps else "  his record is evidence",
        f"  score {_ratio(found.get('score')) or '?'}, edge {_ratio(found.get('edge')) or '?'}",
        f"  {bare(found['latencyClass'], 'LATENCY_CLASS_').lower()} to follow",
        f"  holds for {_held(found)}, buys {found.get('medianSize', '?')} USDC at a time",
        "",
    ]
    for one in found["performance"]:
        lines.append(f"  {one['window']:<4} {_figures(one)}")
    lines.append("")
    for one in found["categories"]:
        lines.append(
            f"  {one['category']:<16} {one['trades']} trades in {one['markets']} markets, realised"
            f" {one['realised']}, {one['won']} of {one['resolved']} won"
        )
    return Shown(data=found, lines=lines)


@command(app, "simulate", schemas.rest("LeaderSimulation"))
def simulate(  # noqa: PLR0913, PLR0917 - as many options
    wallet: Annotated[str, typer.Argument(help="The leader's wallet.")],
    amount: Annotated[str, typer.Option("--amount", help="USDC per copy.")] = "",
    ratio: Annotated[str, typer.Option("--ratio", help="Factor on what he spends.")] = "",
    sub: Annotated[str, typer.Option("--sub", help="With this subscription's settings.")] = "",
    budget: Annotated[str, typer.Option("--budget", help="USDC to begin with.")] = "",
    max_per_trade: Annotated[str, typer.Option("--max-per-trade", help="USDC.")] = "",
    max_slippage: Annotated[str, typer.Option("--max-slippage", help="0.03 is 3 %.")] = "",
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="Up to now.")] = 30,
    delay: Annotated[int, typer.Option("--delay", help="Seconds after him: 1, 3 or 10.")] = 1,
    fee_rate: Annotated[
        str, typer.Option("--fee-rate", help="Of the venue's fee; the highest, if none.")
    ] = "",
) -> Shown:
    """Say what following him would have made: one of --amount, --ratio and --sub."""
    found: Json = dict(
        engine.rest().get_leader_simulation(
            wallet, amount=amount or None, ratio=ratio or None, subscription_id=sub or None,
            budget=budget or None, max_per_trade=max_per_trade or None,
            max_slippage=max_slippage or None, from_ms=int(time.time() * 1000) - days * 86_400_000,
            delay_seconds=delay, fee_rate=fee_rate or None,
        )
    )  # fmt: skip
    lines = [
        (
            f"{found['wallet']}  {clock(found['since'])} to {clock(found['until'])},"
            f" {found['delaySeconds']} s after him: {found['trades']} trades"
        ),
        "",
        *sums(found["outcome"]),
        *unknown(found),
    ]
    return Shown(data=found, lines=lines)


def _held(leader: Json) -> str:
    return duration(int(leader["holdingMs"]) / 1000) if "holdingMs" in leader else "?"


def _figures(window: Json) -> str:
    skipped = ("window", "from", "to")
    return ", ".join(
        f"{name} {_ratio(value) if isinstance(value, float) else value}"
        for name, value in window.items()
        if name not in skipped and value not in (None, "", [], {}) and not isinstance(value, dict)
    )
