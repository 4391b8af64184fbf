"""`tt orders`: orders by state and wallet, and the way of one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli import engine, schemas
from cli.command import Limit, Wallet, command, noun
from cli.core import timeline
from cli.core.words import bare, clock, micros, short
from cli.output import Column, Json, Shown

app = noun("List orders; show one's way with the latency of each hop.")


class State(StrEnum):
    """States of an order, as people type them."""

    CLAIMED = "claimed"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    LOST = "lost"
    DEAD = "dead"
    RESURRECTED = "resurrected"


OPEN = (State.CLAIMED, State.SUBMITTING, State.SUBMITTED, State.UNKNOWN)
_COLUMNS = (
    Column("ORDER", lambda order: order["orderKey"]),
    Column("STATE", lambda order: bare(order["state"], "ORDER_STATE_")),
    Column("REASON", lambda order: order["reason"]),
    Column("SIDE", lambda order: bare(order["side"], "SIDE_").lower()),
    Column("SIZE", lambda order: micros(order["sizeMicros"]), right=True),
    Column("FILLED", lambda order: micros(order["filledSizeMicros"]), right=True),
    Column("ASSET", lambda order: short(order["assetId"])),
    Column("WALLET", lambda order: order["followerProxy"]),
    Column("MADE", lambda order: clock(order["createdAt"])),
)


@command(app, "list", schemas.operator("OrderSummary", many=True))
def list_(
    wallet: Wallet = "",
    state: Annotated[
        list[State] | None, typer.Option("--state", "-s", help="Any of these; may be repeated.")
    ] = None,
    under_way: Annotated[
        bool, typer.Option("--open", help="All that have not ended.", show_default=False)
    ] = False,
    limit: Limit = 50,
) -> Shown:
    """List orders; without a state those that wait for a person, with --wallet all of its."""
    states = [*(state or ()), *(OPEN if under_way else ())]
    if wallet and not states:
        states = list(State)
    found = engine.operate_pages(
        "ListOrders", "orders", limit=limit, follower_proxy=wallet,
        states=[f"ORDER_STATE_{one.upper()}" for one in states],
    )  # fmt: skip
    empty = "no such order" if states else "no order waits for a person; --open, --state, --wallet"
    return Shown(data=found, columns=_COLUMNS, empty=empty)


@command(app, "show", schemas.rest("FollowerOrder"))
def show(
    order: Annotated[str, typer.Argument(help="Its id: 64 hex digits.")],
    states: Annotated[
        bool, typer.Option("--states", help="Its states, too, as the audit has them.",
                           show_default=False)
    ] = False,
) -> Shown:  # fmt: skip
    """Show an order: what it was, what became of it, and when it passed each hop."""
    found: Json = dict(engine.rest().get_follower_order(order))
    lines = [
        f"order {order}",
        f"  {_words(found)}",
        f"  {_end(found)}",
        f"  for {found['follower']['followerProxy']}, {found.get('subscriptionId', 'by hand')}",
    ]
    if "leaderTx" in found:
        lines.append(f"  after {found['leader']}, transaction {found['leaderTx']}")
    if "triggerId" in found:
        lines.append(f"  exit of trigger {found['triggerId']}")
    lines += ["", *timeline.lines(found)]
    own = timeline.own_time_us(found)
    if own is not None:
        lines.append(f"  own time, from the frame to the first byte: {own / 1000:.3f} ms")
    if states:
        history = engine.operate("GetOrder", order_key=order)["transitions"]
        lines += ["", *(_transition(one) for one in history)]
    return Shown(data=found, lines=lines)


def _words(order: Json) -> str:
    side = bare(order["side"], "SIDE_").lower()
    purpose = bare(order["purpose"], "ORDER_PURPOSE_").lower().replace("_", " ")
    limit = "at most" if side == "buy" else "at least"
    return (
        f"{purpose}: {side} {order['size']} of {order['assetId']}"
        f" for {limit} {order['limitPrice']} each"
    )


def _end(order: Json) -> str:
    state = bare(order["state"], "ORDER_STATE_")
    reason = f" ({order['reason']})" if order.get("reason") else ""
    return (
        f"{state}{reason}: {order['filledSize']} filled for {order['filledNotional']} USDC,"
        f" fees {order['fees']}"
    )


def _transition(one: Json) -> str:
    before, after = (bare(one[key], "ORDER_STATE_") for key in ("fromState", "toState"))
    reason = f"  {one['reason']}" if one["reason"] else ""
    way = after if before == "UNSPECIFIED" else f"{before} -> {after}"
    return f"  {one['occurredAt'][11:23]}  {way}{reason}"
