"""`tt subs`: who follows whom, with what settings, and how it went."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import engine, schemas
from cli.command import Limit, Wallet, Yes, ask, command, noun
from cli.core.copies import sums, unknown
from cli.core.words import bare, clock, sizing
from cli.core.words import state as order_state
from cli.errors import Failure, Status
from cli.output import Column, Json, Shown

app = noun("List, show, create, pause, resume and edit subscriptions.")

_Sub = Annotated[str, typer.Argument(metavar="SUB", help="A subscription's id, sub_...")]
_Subs = Annotated[list[str], typer.Argument(metavar="SUB...", help="Ids of subscriptions.")]


class State(StrEnum):
    """States of a subscription, as people type them."""

    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


def _state(sub: Json) -> str:
    shadow = " shadow" if sub.get("shadow") else ""
    return bare(sub["state"], "SUBSCRIPTION_STATE_").lower() + shadow


_COLUMNS = (
    Column("SUBSCRIPTION", lambda sub: sub["id"]),
    Column("WALLET", lambda sub: sub["follower"]["followerProxy"]),
    Column("LEADER", lambda sub: sub["leader"]),
    Column("STATE", _state),
    Column("COPIES", sizing),
    Column("PROFIT", lambda sub: sub.get("statistics", {}).get("profit"), right=True),
)
_DECISIONS = (
    Column("DECIDED", lambda one: clock(one.get("decidedAt"))),
    Column("SIDE", lambda one: bare(one["side"], "SIDE_").lower()),
    Column("SIZE", lambda one: one["leaderSize"], right=True),
    Column("USDC", lambda one: one["leaderNotional"], right=True),
    Column("COPIED", lambda one: "yes" if one["copied"] else "no"),
    Column("REASON", lambda one: one["reason"]),
    Column("ORDERS", lambda one: " ".join(order_state(order) for order in one["orders"])),
    Column("TRANSACTION", lambda one: one["leaderTx"]),
    Column("NUMBERS", lambda one: one["detail"]),
)
_NUMBERS = (
    ("leaderTrades", "leader's trades decided about"), ("copied", "decided to be copied"),
    ("skipped", "not copied"), ("ordersConfirmed", "orders filled"),
    ("ordersFailed", "orders that filled nothing"), ("ordersUnresolved", "orders not known"),
    ("bought", "USDC bought"), ("sold", "USDC sold"), ("fees", "USDC fees"),
    ("realised", "USDC realised, before fees"), ("payouts", "USDC paid out"),
    ("openPositions", "outcomes held"), ("openCost", "USDC at cost of what is held"),
    ("value", "USDC that selling it would bring"), ("profit", "USDC profit after fees"),
    ("slippage", "USDC that fills were worse than his"),
    ("copyDelayP50Us", "us from his trade to our answer, median"),
    ("copyDelayP90Us", "us, 90th percentile"),
)  # fmt: skip
_MODES = frozenset({"fixed", "ratio", "proportional", "tiers"})
_WHOLE = frozenset({"maxAgeMs", "maxOpenPositions", "maxBuysPerOutcome", "doubtfulBookWaitMs",
                    "minSecondsToEnd", "timeStopSeconds"})  # fmt: skip


@command(app, "list", schemas.rest("Subscription", many=True))
def list_(
    wallet: Wallet = "",
    leader: Annotated[str, typer.Option("--leader", help="Whom they follow.")] = "",
    state: Annotated[
        list[State] | None, typer.Option("--state", "-s", help="Without: active and paused.")
    ] = None,
    limit: Limit = 50,
) -> Shown:
    """List subscriptions: all with an operators' token, else those of --wallet."""
    if wallet:
        rows = [dict(sub) for sub in engine.rest().all_subscriptions(follower_proxy=wallet)]
        found = [sub for sub in rows if _desired(sub, leader, state)][:limit]
    elif engine.has_operator():
        found = engine.operate_pages(
            "ListFollowers", "subscriptions", limit=limit, leader=leader,
            states=[f"SUBSCRIPTION_STATE_{one.upper()}" for one in state or ()],
        )  # fmt: skip
    else:
        raise Failure("without an operators' token say whose: --wallet", Status.USAGE)
    return Shown(data=found, columns=_COLUMNS, empty="no such subscription")


def _desired(sub: Json, leader: str, states: list[State] | None) -> bool:
    desired = states or [State.ACTIVE, State.PAUSED]
    mine = bare(sub["state"], "SUBSCRIPTION_STATE_").lower()
    return mine in desired and (not leader or sub["leader"] == leader.lower())


@command(app, "show", schemas.rest("Subscription"))
def show(sub: _Sub) -> Shown:
    """Show a subscription: its settings, what it has done, and its last decisions."""
    found: Json = dict(engine.rest().get_subscription(sub))
    follower = found["follower"]
    lines = [
        f"{sub}  {_state(found)}  version {found['version']}",
        f"  wallet  {follower['followerProxy']}  (user {follower['followerUserId']})",
        f"  leader  {found['leader']}",
        f"  copies  {sizing(found)}",
        f"  made    {clock(found['createdAt'])}, changed {clock(found['updatedAt'])}",
    ]
    for group in ("limits", "filters", "exits", "triggers"):
        given = {
            name: value for name, value in found.get(group, {}).items() if value not in ([], "")
        }
        if given:
            lines.append(f"  {group:<8}{_settings(given)}")
    lines.append("")
    statistics = found.get("statistics", {})
    lines += [
        f"  {statistics[name]:>14}  {words}"
        for name, words in _NUMBERS
        if statistics.get(name) not in (None, "0")
    ]
    lines += ["", "  last decisions:"]
    recent = engine.rest().list_subscription_decisions(sub, page_size=8)["decisions"]
    for one in recent:
        side = bare(one["side"], "SIDE_").lower()
        verdict = one["reason"] or ("copied" if one["copied"] else "")
        lines.append(f"  {clock(one['decidedAt'])}  {side:<4} {one['leaderTx']}  {verdict}")
    if not recent:
        lines.append("  none yet")
    return Shown(data=found, lines=lines)


def _settings(given: Json) -> str:
    return ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in given.items()
    )


@command(app, "decisions", schemas.rest("Decision", many=True))
def decisions(
    sub: _Sub,
    reason: Annotated[str, typer.Option("--reason", help="Only of this code, TOO_OLD.")] = "",
    skipped: Annotated[
        bool, typer.Option("--skipped", help="Only what was not copied.", show_default=False)
    ] = False,
    limit: Limit = 50,
) -> Shown:
    """List what was decided about the leader's trades, the newest first; `tt why` explains one."""
    rows = engine.rest().all_subscription_decisions(
        sub, reason=reason or None, copied=False if skipped else None
    )
    return Shown(data=engine.first(rows, limit), columns=_DECISIONS, empty="no such decision")


@command(app, "create", schemas.rest("Subscription"))
def create(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The request as JSON; -: stdin.")],
    key: Annotated[
        str, typer.Option("--key", help="Idempotency-Key: the same one creates once.")
    ] = "",
) -> Shown:
    """Create a subscription from JSON as POST /subscriptions takes it (docs/api.md)."""
    engine.acting()
    made = engine.rest().create_subscription(read_json(file), idempotency_key=key or None)
    return Shown(data=dict(made), lines=[f"created {made['id']}, version {made['version']}"])


@command(app, "pause", schemas.rest("Subscription", many=True))
def pause(subs: _Subs, yes: Yes = False) -> Shown:
    """Stop entries. When it has answered no entry is sent; exits and stops go on."""
    engine.acting()
    ask(f"Pause {len(subs)} subscriptions?", yes=yes)
    done = [dict(engine.rest().pause_subscription(sub)) for sub in subs]
    return Shown(data=done, lines=[f"{sub['id']} is paused" for sub in done])


@command(app, "resume", schemas.rest("Subscription", many=True))
def resume(subs: _Subs, yes: Yes = False) -> Shown:
    """Allow entries again."""
    engine.acting()
    ask(f"Resume {len(subs)} subscriptions? They buy again.", yes=yes)
    done = [dict(engine.rest().resume_subscription(sub)) for sub in subs]
    return Shown(data=done, lines=[f"{sub['id']} is active" for sub in done])


@command(app, "edit", schemas.rest("Subscription"))
def edit(
    sub: _Sub,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="limits.maxPerTrade=50; an empty value takes it away."),
    ] = None,
    file: Annotated[
        str, typer.Option("--file", "-f", help="Whole groups as JSON in place of --set; -: stdin.")
    ] = "",
    yes: Yes = False,
) -> Shown:
    """Change settings: what --set names, beside what is set already."""
    engine.acting()
    before: Json = dict(engine.rest().get_subscription(sub))
    body = read_json(file) if file else _changed(before, changes or [])
    if not body:
        raise Failure("nothing to change: --set or --file", Status.USAGE, "tt subs edit --help")
    lines = [
        f"  {group}: {json.dumps(before.get(group, {}))} -> {json.dumps(after)}"
        for group, after in body.items()
    ]
    if not yes:
        sys.stderr.write("\n".join([*lines, ""]))
    ask(f"Change {sub}?", yes=yes)
    after = dict(engine.rest().update_subscription(sub, body, if_match=before["version"]))
    return Shown(data=after, lines=[*lines, f"{sub} has version {after['version']}"])


@command(app, "preview", schemas.rest("SettingsPreview"))
def preview(
    sub: _Sub,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="limits.maxPerTrade=50; an empty value takes it away."),
    ] = None,
    file: Annotated[
        str, typer.Option("--file", "-f", help="Whole groups as JSON in place of --set; -: stdin.")
    ] = "",
    hours: Annotated[int, typer.Option("--hours", min=1, max=168, help="Up to now.")] = 24,
) -> Shown:
    """Say what a change would have made of the last day; nothing is changed."""
    before: Json = dict(engine.rest().get_subscription(sub))
    body = read_json(file) if file else _changed(before, changes or [])
    reported: Json = dict(engine.rest().get_settings_preview(sub, body | {"hours": hours}))
    since, until = clock(reported["since"]), clock(reported["until"])
    lines = [
        f"{sub}  {since} to {until}: {reported['trades']} trades of his",
        "",
        f"  {'as it is':>14}  {'changed':>14}",
        *sums(reported["current"], reported["proposed"]),
        *unknown(reported),
    ]
    return Shown(data=reported, lines=lines)


def _changed(before: Json, changes: list[str]) -> Any:
    """Return the groups that changes touch, whole, as PATCH takes them. Raises Failure."""
    body: Json = {}
    for change in changes:
        path, equals, text = change.partition("=")
        group, dot, name = path.partition(".")
        if (
            not equals
            or not dot
            or group not in ("sizing", "limits", "filters", "exits", "triggers")
        ):
            raise Failure(f"--set {change}: expected GROUP.NAME=VALUE", Status.USAGE)
        target = body.setdefault(group, json.loads(json.dumps(before.get(group, {}))))
        *parents, last = name.split(".")
        if group == "sizing" and parents and parents[0] in _MODES:
            # One mode takes the place of the other.
            for mode in _MODES - {parents[0]}:
                target.pop(mode, None)
        for parent in parents:
            target = target.setdefault(parent, {})
        if text:
            target[last] = _value(last, text)
        else:
            target.pop(last, None)
    return body


def _value(name: str, text: str) -> Any:
    """Return what a person has typed as REST takes it: amounts stay texts."""
    if name in _WHOLE and text.isdigit():
        return int(text)
    if text in ("true", "false") or text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            raise Failure(f"{text}: is no JSON", Status.USAGE) from None
    return text


def read_json(path: str) -> Any:
    """Return JSON of a file, or of standard input for ``-``. Raises Failure."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {error}", Status.USAGE) from None
