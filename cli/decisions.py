"""Find the decisions on a leader's trade, and what became of them: for `tt why` and the MCP server.

Before it: an engine to ask. After it: `cli.core.why`, which says it in sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from cli.core.why import Why, explain
from cli.core.words import bare, clock
from cli.engine import Engine, Json
from cli.errors import Failure, Status

_TX = re.compile("0x[0-9a-fA-F]{64}")
_ORDER = re.compile("[0-9a-f]{64}")
_DECISION = re.compile("(sub_[0-9a-f]{32})[/:](0x[0-9a-fA-F]{64})")


class Found(msgspec.Struct):
    """A decision, and whose it is."""

    subscription: str
    follower: str
    leader: str
    decision: Json


def find(engine: Engine, what: str, *, wallet: str, sub: str, limit: int) -> list[Found]:
    """Return the decisions that are meant.

    Args:
        engine: is asked.
        what: a leader's transaction, an order, or ``sub_.../0x...``.
        wallet: of the one follower that is meant; empty: of all.
        sub: the one subscription that is meant; empty: all.
        limit: at most so many.

    Raises:
        Failure: it is none of these, or nothing was decided about it.
    """
    found = _find(engine, what, wallet, sub, limit)
    if not found:
        raise Failure(_nothing(engine, what, wallet, sub), Status.NOT_FOUND)
    return found


def explained(engine: Engine, one: Found, halts: Sequence[Json], *, whole: bool) -> Why:
    """Say what became of a decision.

    Args:
        engine: is asked for its orders.
        one: the decision.
        halts: that are in force now.
        whole: with its orders' own numbers.
    """
    orders: list[Json] = []
    if whole:
        orders = [dict(engine.rest.get_follower_order(i)) for i in one.decision["orderIds"]]
    return explain(
        subscription=one.subscription, follower=one.follower, leader=one.leader,
        decision=one.decision, orders=orders, halts=halts,
    )  # fmt: skip


def _find(engine: Engine, what: str, wallet: str, sub: str, limit: int) -> list[Found]:
    if matched := _DECISION.fullmatch(what):
        return _of_subscription(engine, matched[1], matched[2])
    if _TX.fullmatch(what):
        if sub:
            return _of_subscription(engine, sub, what)
        return _of_transaction(engine, what, wallet, limit)
    if _ORDER.fullmatch(what):
        order = engine.rest.get_follower_order(what)
        if "leaderTx" not in order or "subscriptionId" not in order:
            raise Failure(
                f"order {what} follows no leader's trade: it is the exit of a trigger",
                Status.USAGE, f"tt orders show {what}",
            )  # fmt: skip
        found = _of_subscription(engine, order["subscriptionId"], order["leaderTx"])
        mine = [one for one in found if what in one.decision["orderIds"]]
        return mine or found
    raise Failure(
        f"{what}: neither a transaction (0x and 64 digits), an order (64 digits) nor sub_.../0x...",
        Status.USAGE, "tt why --help",
    )  # fmt: skip


def _of_subscription(engine: Engine, sub: str, tx: str) -> list[Found]:
    of = engine.rest.get_subscription(sub)
    return [
        Found(sub, of["follower"]["followerProxy"], of["leader"], dict(decision))
        for decision in engine.rest.all_subscription_decisions(sub, leader_tx=tx)
    ]


def _of_transaction(engine: Engine, tx: str, wallet: str, limit: int) -> list[Found]:
    if engine.has_operator:
        rows = engine.operate_pages(
            "ListDecisions", "decisions", limit=limit, leader_tx=tx, follower_proxy=wallet
        )
        return [
            Found(row["subscriptionId"], row["followerProxy"], row["leader"], row["decision"])
            for row in rows
        ]
    if not wallet:
        raise Failure(
            "without an operators' token say whose copy: --wallet or --sub", Status.USAGE,
            "tt why --help",
        )  # fmt: skip
    subs = engine.rest.all_subscriptions(follower_proxy=wallet)
    return [found for sub in subs for found in _of_subscription(engine, sub["id"], tx)]


def _nothing(engine: Engine, what: str, wallet: str, sub: str) -> str:
    text = f"nothing was decided about {what}"
    if wallet:
        subs = list(engine.rest.all_subscriptions(follower_proxy=wallet))
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
