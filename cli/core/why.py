"""Explain why a follower did, or did not, copy a leader's trade: sentences with the numbers in
them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cli.core import timeline
from cli.core.words import bare, clock, duration, price_of
from tradingtools.domain.money import parse_exact, to_text
from tradingtools.domain.reasons import Reason

Json = dict[str, Any]
_UNDER_WAY = frozenset({"CLAIMED", "SUBMITTING", "SUBMITTED", "UNKNOWN"})
_FOR_A_PERSON = frozenset({"DEAD", "RESURRECTED"})


class Why(msgspec.Struct, rename="camel", kw_only=True):
    """The decision on one leader trade for one follower, with its reason."""

    leader_tx: str
    leader: str
    subscription_id: str
    follower_proxy: str
    outcome: str
    """COPIED, PARTLY, NOT_COPIED, UNDER_WAY, NEEDS_A_PERSON or PAPER."""
    reason: str
    """The code that decided; empty: all that was wanted was done."""
    sentences: list[str]
    """For people, in order."""
    next: list[str]
    """Commands that go on from here."""
    decision: Json
    orders: list[Json]


def explain(
    *, subscription: str, follower: str, leader: str, decision: Json, orders: Sequence[Json],
    halts: Sequence[Json],
) -> Why:  # fmt: skip
    """Say what became of a decision.

    Args:
        subscription: its id.
        follower: the follower's wallet.
        leader: whose trade it is; empty where nobody has told.
        decision: as REST tells it.
        orders: those of its orders that could be read.
        halts: that are in force now.
    """
    outcome, reason = _outcome(decision)
    sentences = [_trade(decision, leader), _verdict(outcome, decision)]
    if reason:
        sentences += _because(reason, decision["detail"] if decision["reason"] == reason else "")
    by_id = {order["id"]: order for order in orders}
    for brief in decision["orders"]:
        sentences.append(_order(brief, by_id.get(brief["id"])))
    covering = [halt for halt in halts if _covers(halt, follower, leader, decision)]
    for halt in covering:
        sentences.append(_halt(halt))
    return Why(
        leader_tx=decision["leaderTx"],
        leader=leader,
        subscription_id=subscription,
        follower_proxy=follower,
        outcome=outcome,
        reason=reason,
        sentences=sentences,
        next=_next(subscription, reason, decision, covering),
        decision=decision,
        orders=list(orders),
    )


def _outcome(decision: Json) -> tuple[str, str]:
    if not decision["copied"]:
        return "NOT_COPIED", decision["reason"]
    if "paperSize" in decision:
        return "PAPER", decision["reason"]
    states = {bare(order["state"], "ORDER_STATE_") for order in decision["orders"]}
    filled = any(parse_exact(order["filledSize"]) > 0 for order in decision["orders"])
    why = decision["reason"] or next((o["reason"] for o in decision["orders"] if o["reason"]), "")
    if states & _FOR_A_PERSON:
        return "NEEDS_A_PERSON", why
    if states & _UNDER_WAY or not states:
        return "UNDER_WAY", why
    if not filled:
        return "NOT_COPIED", why
    return ("PARTLY", why) if why else ("COPIED", "")


def _trade(decision: Json, leader: str) -> str:
    did = "bought" if decision["side"] == "SIDE_BUY" else "sold"
    price = price_of(decision["leaderNotional"], decision["leaderSize"])
    each = f", {price} each" if price else ""
    who = f"The leader {leader}" if leader else "The leader"
    return (
        f"{who} {did} {decision['leaderSize']} shares for"
        f" {decision['leaderNotional']} USDC{each}, of {decision['assetId']}"
        f" in market {decision['conditionId']}."
    )


def _verdict(outcome: str, decision: Json) -> str:
    at = f" Decided {clock(decision.get('decidedAt'))} UTC." if decision.get("decidedAt") else ""
    filled = sum(parse_exact(order["filledSize"]) for order in decision["orders"])
    words = {
        "COPIED": "The follower copied it.",
        "PARTLY": "The follower copied it in part.",
        "NOT_COPIED": "The follower did NOT copy it: "
        + ("nothing was filled." if decision["copied"] else "no order was made."),
        "UNDER_WAY": "The follower's order is still under way.",
        "NEEDS_A_PERSON": "What became of the follower's order is not known; a person has to look.",
        "PAPER": f"Decided on paper: {decision.get('paperSize')} shares for"
        f" {decision.get('paperNotional')} USDC; a shadow sends nothing.",
    }[outcome]
    shares = f" {to_text(filled)} shares were filled." if filled else ""
    return f"{words}{shares}{at}"


def _because(code: str, numbers: str) -> list[str]:
    try:
        known = Reason(code)
    except ValueError:
        return [f"Because {code}{_numbers(numbers)}; this tt does not know the code."]
    said = [f"Because {code}: {known.meaning.rstrip('.')}{_numbers(numbers)}."]
    if known.advice and known.advice != "Nothing.":
        said.append(f"What the follower can do: {known.advice}")
    return said


def _numbers(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _order(brief: Json, order: Json | None) -> str:
    state = bare(brief["state"], "ORDER_STATE_")
    ended = f"{state}{', ' + brief['reason'] if brief['reason'] else ''}"
    if order is None:
        return f"Order {brief['id']}: {ended}; {brief['filledSize']} shares filled."
    side = bare(order["side"], "SIDE_").lower()
    limit = "at most" if side == "buy" else "at least"
    text = (
        f"Order {brief['id']}: {side} {order['size']} shares for {limit} {order['limitPrice']}"
        f" each: {ended}; {order['filledSize']} filled for {order['filledNotional']} USDC,"
        f" fees {order['fees']}."
    )
    own = timeline.own_time_us(order)
    return text if own is None else f"{text} From frame to first byte {duration(own / 1e6)}."


def _covers(halt: Json, follower: str, leader: str, decision: Json) -> bool:
    subject = {
        "HALT_SCOPE_GLOBAL": "",
        "HALT_SCOPE_WALLET": follower,
        "HALT_SCOPE_LEADER": leader,
        "HALT_SCOPE_MARKET": decision["conditionId"],
    }
    return bool(subject.get(halt["scope"]) == halt["subject"])


def _halt(halt: Json) -> str:
    scope = bare(halt["scope"], "HALT_SCOPE_").lower()
    what = "everything" if scope == "global" else f"this {scope}"
    mode = "sends nothing" if halt["mode"] == "HALT_MODE_HALTED" else "only sells"
    since = clock(halt.get("setAt"))
    return f"A halt of {what} is in force since {since}: it {mode}; {halt['reason']!r}."


def _next(subscription: str, reason: str, decision: Json, halts: Sequence[Json]) -> list[str]:
    found = [f"tt orders show {order['id']}" for order in decision["orders"]]
    found += [f"tt halt clear {option_of(halt)}" for halt in halts]
    if reason == Reason.PAUSED:
        found.append(f"tt subs resume {subscription}")
    found.append(f"tt subs show {subscription}")
    return found


def option_of(halt: Mapping[str, str]) -> str:
    """Return the option of `tt halt` that names what a halt holds."""
    scope = bare(halt["scope"], "HALT_SCOPE_").lower()
    return "--all" if scope == "global" else f"--{scope} {halt['subject']}"
