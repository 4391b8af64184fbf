"""`tt why`: why a follower did, or did not, copy a leader's trade."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
import typer

from cli import engine, schemas
from cli.command import Limit, Wallet, command, noun
from cli.core.why import Why, explain
from cli.core.words import bare, clock
from cli.errors import Failure, Status
from cli.output import Json, Shown

app = noun("Say why a follower did, or did not, copy a leader's trade.")
_TX = re.compile("0x[0-9a-fA-F]{64}")
_ORDER = re.compile("[0-9a-f]{64}")
_DECISION = re.compile("(sub_[0-9a-f]{32})[/:](0x[0-9a-fA-F]{64})")
_EXPLAINS_MANY = 8


class WhyAnswer(msgspec.Struct, rename="camel", kw_only=True):
    """All that was decided about what was asked for."""

    asked: str
    decisions: list[Why]


class _Found(msgspec.Struct):
    subscription: str
    follower: str
    leader: str
    decision: Json


@command(app, "why", schemas.own(__name__, "WhyAnswer"))
def why(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TX|ORDER|DECISION",
            help="The leader's transaction (0x and 64 digits), an order's id, or sub_.../0x...",
        ),
    ],
    wallet: Wallet = "",
    sub: Annotated[str, typer.Option("--sub", help="Only of this subscription, sub_...")] = "",
    limit: Limit = 50,
) -> Shown:
    """Say in sentences, with numbers, what became of a trade and why."""
    found = _find(what, wallet, sub, limit)
    if not found:
        raise Failure(_nothing(what, wallet, sub), Status.NOT_FOUND)
    halts = engine.operate("ListHalts")["halts"] if engine.has_operator() else []
    told = [_explained(one, halts, whole=len(found) <= _EXPLAINS_MANY) for one in found]
    answer = WhyAnswer(asked=what, decisions=told)
    return Shown(data=msgspec.to_builtins(answer), lines=_lines(told))


def _find(what: str, wallet: str, sub: str, limit: int) -> list[_Found]:
    if matched := _DECISION.fullmatch(what):
        return _of_subscription(matched[1], matched[2])
    if _TX.fullmatch(what):
        if sub:
            return _of_subscription(sub, what)
        return _of_transaction(what, wallet, limit)
    if _ORDER.fullmatch(what):
        order = engine.rest().get_follower_order(what)
        if "leaderTx" not in order or "subscriptionId" not in order:
            raise Failure(
                f"order {what} follows no leader's trade: it is the exit of a trigger",
                Status.USAGE, f"tt orders show {what}",
            )  # fmt: skip
        found = _of_subscription(order["subscriptionId"], order["leaderTx"])
        mine = [one for one in found if what in one.decision["orderIds"]]
        return mine or found
    raise Failure(
        f"{what}: neither a transaction (0x and 64 digits), an order (64 digits) nor sub_.../0x...",
        Status.USAGE, "tt why --help",
    )  # fmt: skip


def _of_subscription(sub: str, tx: str) -> list[_Found]:
    of = engine.rest().get_subscription(sub)
    return [
        _Found(sub, of["follower"]["followerProxy"], of["leader"], dict(decision))
        for decision in engine.rest().all_subscription_decisions(sub, leader_tx=tx)
    ]


def _of_transaction(tx: str, wallet: str, limit: int) -> list[_Found]:
    if engine.has_operator():
        rows = engine.operate_pages(
            "ListDecisions", "decisions", limit=limit, leader_tx=tx, follower_proxy=wallet
        )
        return [
            _Found(row["subscriptionId"], row["followerProxy"], row["leader"], row["decision"])
            for row in rows
        ]
    if not wallet:
        raise Failure(
            "without an operators' token say whose copy: --wallet or --sub", Status.USAGE,
            "tt why --help",
        )  # fmt: skip
    subs = engine.rest().all_subscriptions(follower_proxy=wallet)
    return [found for sub in subs for found in _of_subscription(sub["id"], tx)]


def _explained(one: _Found, halts: list[Json], *, whole: bool) -> Why:
    orders: list[Json] = []
    if whole:
        orders = [dict(engine.rest().get_follower_order(i)) for i in one.decision["orderIds"]]
    return explain(
        subscription=one.subscription, follower=one.follower, leader=one.leader,
        decision=one.decision, orders=orders, halts=halts,
    )  # fmt: skip


def _nothing(what: str, wallet: str, sub: str) -> str:
    text = f"nothing was decided about {what}"
    if wallet:
        subs = list(engine.rest().all_subscriptions(follower_proxy=wallet))
        states = ", ".join(
            f"{one['leader']} ({bare(one['state'], 'SUBSCRIPTION_STATE_').lower()} since"
            f" {clock(one['updatedAt'])})"
            for one in subs
        )
        follows = f"it follows {states}" if subs else "it follows nobody"
        text += f" for the wallet {wallet}: {follows}"
    elif sub:
        text += f" for {sub}"
    return f"{text}. Either the trade is of a leader who is not followed, or it was not seen yet"


def _lines(told: list[Why]) -> list[str]:
    lines: list[str] = []
    for one in told:
        lines += [f"{one.follower_proxy}  {one.subscription_id}  {one.outcome}"]
        lines += [f"  {sentence}" for sentence in one.sentences]
        lines += ["  Next:", *(f"    {step}" for step in one.next), ""]
    if len(told) > 1:
        copied = sum(1 for one in told if one.outcome in ("COPIED", "PARTLY"))
        lines.append(f"{len(told)} decisions, {copied} copied; --wallet picks one follower's")
    elif lines:
        lines.pop()
    return lines
