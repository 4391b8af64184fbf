"""`tt triggers`: stops, take-profits and ladders of what a wallet holds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import typer

from cli import engine, schemas
from cli.command import Limit, Yes, ask, command, noun
from cli.commands.subs import read_json
from cli.core.words import bare, clock, short
from cli.output import Column, Json, Shown

app = noun("List, show, create, edit and cancel stops and take-profits.")
_Trigger = Annotated[str, typer.Argument(metavar="TRIGGER", help="Its id, trg_...")]
_STATUS = "TRIGGER_STATUS_"


class Where(StrEnum):
    """Where triggers stand, as people type it."""

    WAITING = "waiting"
    ARMED = "armed"
    SUSPENDED = "suspended"
    TRIGGERED = "triggered"
    CLOSING = "closing"
    NEEDS_CONFIRM = "needs_confirm"
    DONE = "done"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"


def _price(trigger: Json) -> str:
    if trigger["rungs"]:
        return " ".join(rung["triggerPrice"] for rung in trigger["rungs"])
    return str(trigger["triggerPrice"] or trigger.get("fireAtMs", ""))


_COLUMNS = (
    Column("TRIGGER", lambda trigger: trigger["id"]),
    Column("TYPE", lambda trigger: bare(trigger["triggerType"], "TRIGGER_TYPE_").lower()),
    Column("STATUS", lambda trigger: bare(trigger["status"], _STATUS)),
    Column("PRICE", _price, right=True),
    Column("SIZE", lambda trigger: trigger.get("size", "all"), right=True),
    Column("ASSET", lambda trigger: short(trigger["assetId"])),
    Column("OF", lambda trigger: trigger["subscriptionId"] or "by hand"),
)


@command(app, "list", schemas.rest("Trigger", many=True))
def list_(
    wallet: Annotated[str, typer.Argument(help="The follower's wallet.")],
    status: Annotated[
        list[Where] | None, typer.Option("--status", "-s", help="Any of these; repeatable.")
    ] = None,
    limit: Limit = 50,
) -> Shown:
    """List a wallet's triggers, the oldest first."""
    desired: list[Any] | None = [f"{_STATUS}{one.upper()}" for one in status] if status else None
    rows = engine.rest().all_triggers(wallet=wallet, status=desired)
    return Shown(data=engine.first(rows, limit), columns=_COLUMNS, empty="no such trigger")


@command(app, "show", schemas.rest("Trigger"))
def show(trigger: _Trigger) -> Shown:
    """Show a trigger and what has happened to it."""
    found: Json = dict(engine.rest().get_trigger(trigger))
    kind, status = (
        bare(found["triggerType"], "TRIGGER_TYPE_").lower(),
        bare(found["status"], _STATUS),
    )
    lines = [
        f"{trigger}  {kind} at {_price(found)}  {status}",
        f"  sells {found.get('size', 'all')} of {found['assetId']}",
        f"  of {found['wallet']}, {found['subscriptionId'] or 'by hand'}",
        f"  version {found['version']}, changed {clock(found['updatedAt'])}",
    ]
    if "peakPrice" in found:
        lines.append(f"  peak so far {found['peakPrice']}")
    for entry in engine.rest().all_trigger_history(trigger):
        before, after = (bare(entry[key], _STATUS) for key in _FROM_TO)
        lines.append(
            f"  {clock(entry['occurredAt'])}  {before} -> {after}  {entry['detail']}".rstrip()
        )
    return Shown(data=found, lines=lines)


_FROM_TO: tuple[Literal["fromStatus"], Literal["toStatus"]] = ("fromStatus", "toStatus")


@command(app, "create", schemas.rest("Trigger"))
def create(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The request as JSON; -: stdin.")],
    key: Annotated[
        str, typer.Option("--key", help="Idempotency-Key: the same one creates once.")
    ] = "",
) -> Shown:
    """Create a trigger from JSON as POST /triggers takes it (docs/api.md)."""
    engine.acting()
    made: Json = dict(engine.rest().create_trigger(read_json(file), idempotency_key=key or None))
    return Shown(data=made, lines=[f"created {made['id']}, {bare(made['status'], _STATUS)}"])


@command(app, "edit", schemas.rest("Trigger"))
def edit(
    trigger: _Trigger,
    price: Annotated[str, typer.Option("--price", help="USDC a share, 0.35.")] = "",
    size: Annotated[str, typer.Option("--size", help="Shares.")] = "",
    yes: Yes = False,
) -> Shown:
    """Change the price or the size of a trigger that has not fired."""
    engine.acting()
    before = engine.rest().get_trigger(trigger)
    body: Any = {"triggerPrice": price} if price else {}
    if size:
        body["size"] = size
    ask(f"Change {trigger} from {_price(dict(before))} to {price or 'the same price'}?", yes=yes)
    after = dict(engine.rest().update_trigger(trigger, body, if_match=before["version"]))
    return Shown(data=after, lines=[f"{trigger} at {_price(after)}, version {after['version']}"])


@command(app, "cancel", schemas.rest("Trigger"))
def cancel(trigger: _Trigger, yes: Yes = False) -> Shown:
    """Cancel a trigger: its shares are not guarded by it any more."""
    engine.acting()
    ask(f"Cancel {trigger}?", yes=yes)
    done: Json = dict(engine.rest().delete_trigger(trigger))
    return Shown(data=done, lines=[f"{trigger} is {bare(done['status'], _STATUS)}"])
