"""`tt risk`: the kill switch of bots, which never asks, and limits of many bots together."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import engine, schemas
from cli.command import Limit, NeverAsks, command, noun
from cli.core.words import bare, clock
from cli.errors import Failure, Status
from cli.output import Column, Json, Shown

app = noun("Kill all bots at once; show and set limits of many bots. `kill` never asks.")
_SCOPE = "RISK_SCOPE_"
_Tenant = Annotated[str, typer.Option("--tenant", help="Whose bots.")]


def _subject(limits: Json) -> str:
    return f"{bare(limits['scope'], _SCOPE).lower()} {limits['subject']}".strip()


def _limits(one: Json) -> str:
    return ", ".join(f"{name} {text}" for name, text in one.get("limits", {}).items()) or "none"


_USAGE = (
    Column("SCOPE", lambda one: _subject(one["limits"])),
    Column("GROSS", lambda one: one["gross"], right=True),
    Column("NET", lambda one: one["net"], right=True),
    Column("LARGEST", lambda one: f"{one['marketGross']} {one['market']}".rstrip(), right=True),
    Column("COPIES", lambda one: one["copies"], right=True),
    Column("RESULT", lambda one: one["result"], right=True),
    Column("DAY LOSS", lambda one: one["dayLoss"], right=True),
    Column("DRAWDOWN", lambda one: one["drawdown"], right=True),
    Column("LIMITS", lambda one: _limits(one["limits"])),
    Column("REACHED", lambda one: "; ".join(r["limit"] for r in one["reached"])),
)
_LIMITS = (
    Column("SCOPE", _subject),
    Column("LIMITS", _limits),
    Column("INSTRUMENTS", lambda one: " ".join(one["instruments"])),
    Column("BY", lambda one: one["changedBy"]),
    Column("SINCE", lambda one: clock(one.get("changedAt"))),
)
_BREACHES = (
    Column("WHEN", lambda one: clock(one["occurredAt"])),
    Column("SCOPE", lambda one: f"{one['scope'].lower()} {one['subject']}".strip()),
    Column("LIMIT", lambda one: one["limit"]),
    Column("ACTION", lambda one: one["action"]),
    Column("DETAIL", lambda one: one["detail"]),
)


@command(app, "kill", schemas.rest("KillSwitch"))
def kill(
    exchange: Annotated[
        str, typer.Option("--exchange", "-e", help="okx or polymarket; left out: all.")
    ] = "",
    tenant: _Tenant = "default",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Kept for ever.")] = "by hand",
    _yes: NeverAsks = False,
) -> Shown:
    """Have all bots cancel their orders and close what they hold, at once. Never asks."""
    engine.acting()
    body: Any = {"tenant": tenant, "exchange": exchange, "reason": reason}
    return _reported(dict(engine.rest().set_kill_switch(body)))


@command(app, "show", schemas.rest("KillSwitch", many=True))
def show(tenant: _Tenant = "default") -> Shown:
    """Show kill switches that stand, and the last ones, with their progress."""
    found = list(engine.rest().list_kill_switches(tenant=tenant)["killSwitches"])
    lines = [line for one in found for line in _lines(dict(one))]
    return Shown(data=found, lines=lines or ["no kill switch"])


@command(app, "clear", schemas.rest("KillSwitch"))
def clear(
    kill_id: Annotated[
        str, typer.Argument(metavar="[KILL]", help="Its id; left out: the only one that stands.")
    ] = "",
    tenant: _Tenant = "default",
) -> Shown:
    """Clear a kill switch. Bots stay stopped until each is resumed."""
    engine.acting()
    if not kill_id:
        stand = [
            one
            for one in engine.rest().list_kill_switches(tenant=tenant)["killSwitches"]
            if "clearedAt" not in one
        ]
        if len(stand) != 1:
            raise Failure(f"say which: {len(stand)} kill switches stand", Status.USAGE)
        kill_id = stand[0]["id"]
    return _reported(dict(engine.rest().clear_kill_switch(kill_id)))


@command(app, "usage", schemas.rest("RiskUsage", many=True))
def usage(tenant: _Tenant = "default") -> Shown:
    """Show how much of each scope is used, in USDC."""
    found = list(engine.rest().get_risk_usage(tenant=tenant)["usage"])
    return Shown(data=found, columns=_USAGE, empty="none")


@command(app, "limits", schemas.rest("RiskLimits", many=True))
def limits(tenant: _Tenant = "default") -> Shown:
    """List limits of many bots."""
    found = list(engine.rest().list_risk_limits(tenant=tenant)["limits"])
    return Shown(data=found, columns=_LIMITS, empty="no limit")


@command(app, "set", schemas.rest("RiskLimits"))
def set_(
    scope: Annotated[str, typer.Argument(help="wallet, exchange, portfolio, group or market.")],
    subject: Annotated[
        str, typer.Argument(help="Wallet, exchange, name of the group, or market; * for each.")
    ] = "",
    limit: Annotated[
        list[str], typer.Option("--limit", "-l", metavar="NAME=USDC", help="maxGross=5000, ...")
    ] = [],  # noqa: B006 - typer reads it, nothing changes it
    instrument: Annotated[
        list[str], typer.Option("--instrument", "-i", help="Of a group, one by one.")
    ] = [],  # noqa: B006
    tenant: _Tenant = "default",
) -> Shown:
    """Set all limits of a scope; without any it has none any more."""
    engine.acting()
    parts = [one.partition("=") for one in limit]
    if not all(name and text for name, _, text in parts):
        raise Failure("--limit: NAME=USDC, such as maxGross=5000", Status.USAGE)
    body: Any = {
        "tenant": tenant,
        "scope": f"{_SCOPE}{scope.upper()}",
        "subject": subject,
        "instruments": instrument,
        "limits": {name: text for name, _, text in parts},
    }
    made = dict(engine.rest().set_risk_limits(body))
    return Shown(data=made, lines=[f"{_subject(made)}: {_limits(made)}"])


@command(app, "breaches", schemas.rest("RiskBreach", many=True))
def breaches(tenant: _Tenant = "default", limit: Limit = 50) -> Shown:
    """List limits that were reached, the newest first."""
    rows = engine.rest().all_risk_breaches(tenant=tenant)
    return Shown(data=engine.first(rows, limit), columns=_BREACHES, empty="no limit was reached")


def _reported(kill_switch: Json) -> Shown:
    return Shown(data=kill_switch, lines=_lines(kill_switch))


def _lines(one: Json) -> list[str]:
    where = one["exchange"] or "all exchanges"
    stands = "cleared" if "clearedAt" in one else "done" if "doneAt" in one else "under way"
    lines = [f"{one['id']}  {where} of {one['tenant']}: {stands}, because {one['reason']}"]
    for wallet in one["wallets"]:
        lines.append(
            f"  {wallet['walletId']}  {wallet['phase'].lower().replace('_', ' ')}"
            f", {wallet['bots']} bots, {wallet['orders']} orders, {wallet['holdings']} hold"
            + (f"; {wallet['detail']}" if wallet["detail"] else "")
        )
    if "clearedAt" not in one:
        lines.append(f"  clear it with: tt risk clear {one['id']}")
    return lines
