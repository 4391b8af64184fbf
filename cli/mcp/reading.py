"""Tools that read. Their names are those that assistants are promised; strategies are
subscriptions and bots.

Each asks what a command of `tt` asks, with the caller's own tokens, and answers a part that a model
can hold: see `cli.mcp.answers`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from cli import decisions, event_log
from cli.core import timeline
from cli.core.answers import Json
from cli.core.words import bare, sizing
from cli.engine import Engine
from cli.mcp import bots
from cli.mcp.answers import PageAnswer, RecordAnswer, page_of, record_of
from cli.mcp.serving import Ctx, engine_of, plainly

_EXPLAINED = 5
_POINTS = 60
_REACH = 50_000
_DAYS = 30
_LOOKS = 10
"""Pages that are looked through for rows of a filter."""

Strategy = Annotated[
    str,
    Field(
        pattern="^(sub_[0-9a-f]{32}|[a-z0-9]{12})$",
        description="Id of a strategy, as list_strategies has.",
    ),
]
Wallet = Annotated[str, Field(pattern="^(0x[0-9a-fA-F]{40})?$", description="Empty: any.")]
Limit = Annotated[int, Field(ge=1, le=50, description="At most so many rows.")]
PageToken = Annotated[
    str, Field(max_length=400, description="next_page of the answer before; empty: the first.")
]
OrderState = Literal[
    "", "CLAIMED", "SUBMITTING", "SUBMITTED", "CONFIRMED", "FAILED", "UNKNOWN", "LOST", "DEAD",
    "RESURRECTED", "OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELLED", "REJECTED", "EXPIRED",
]  # fmt: skip


@plainly
def list_strategies(
    ctx: Ctx, wallet: Wallet = "", leader: Wallet = "",
    state: Literal["", "ACTIVE", "PAUSED", "DELETED"] = "", limit: Limit = 20,
    page: PageToken = "", kind: Literal["copy", "bot"] = "copy",
) -> PageAnswer:  # fmt: skip
    """List strategies: subscriptions, by which a follower's wallet copies a leader (deleted ones
    only by their state), or with the kind "bot" bots, which trade by themselves."""
    if kind == "bot":
        return bots.listed(engine_of(ctx), limit, page)
    rest = engine_of(ctx).rest

    def fetch(rows: int) -> tuple[list[Json], str]:
        found: list[Json] = []
        token = page
        for _ in range(_LOOKS):
            answer = rest.list_subscriptions(
                follower_proxy=wallet or None, page_size=rows - len(found), page_token=token or None
            )
            mine = (one for one in answer["subscriptions"] if _is_meant(one, leader, state))
            found += [_strategy(one) for one in mine]
            token = answer["nextPageToken"]
            if not token or len(found) == rows:
                break
        return found, token

    return page_of(fetch, limit, ["settings and what it has done: get_strategy"])


def _is_meant(sub: Any, leader: str, state: str) -> bool:
    mine = bare(sub["state"], "SUBSCRIPTION_STATE_")
    desired = mine == state if state else mine != "DELETED"
    return desired and (not leader or sub["leader"] == leader.lower())


def _strategy(sub: Any) -> Json:
    reported = {
        "id": sub["id"], "kind": "copy", "wallet": sub["follower"]["followerProxy"],
        "leader": sub["leader"], "state": bare(sub["state"], "SUBSCRIPTION_STATE_"),
        "copies": _sizing(sub), "profitUsdc": sub.get("statistics", {}).get("profit"),
        "shadow": sub.get("shadow") or None,
    }  # fmt: skip
    return {name: value for name, value in reported.items() if value is not None}


def _sizing(sub: Any) -> Json:
    return {name: value for name, value in sub.get("sizing", {}).items() if value != ""}


@plainly
def get_strategy(ctx: Ctx, strategy_id: Strategy) -> RecordAnswer:
    """Get a strategy: settings, state, what it has done so far (`statistics`: copies, orders,
    USDC bought, sold, realised, held, profit after fees); of a bot its positions, and why each
    quote is where it is."""
    if bots.is_bot(strategy_id):
        return bots.shown(engine_of(ctx), strategy_id)
    found = dict(engine_of(ctx).rest.get_subscription(strategy_id))
    left = ["orders: get_strategy_orders", "results over time: get_strategy_performance"]
    return record_of(found, left, said={"kind": "copy", "copiesInWords": sizing(found)})


@plainly
def get_strategy_orders(
    ctx: Ctx, strategy_id: Strategy, state: OrderState = "", limit: Limit = 20,
    page: PageToken = "",
) -> PageAnswer:  # fmt: skip
    """List the orders of a strategy, the newest first: side, shares, limit price, state, the reason
    of a failure, what was filled, and fees. Those of a bot have a slot, and other states."""
    engine = engine_of(ctx)
    if bots.is_bot(strategy_id):
        return bots.orders(engine, strategy_id, state, limit, page)
    if state in _OF_BOTS:
        raise ToolError(f"state: {state} is one of a bot's orders")
    states: Any = [f"ORDER_STATE_{state}"] if state else None

    def fetch(rows: int) -> tuple[list[Json], str]:
        found = engine.rest.list_follower_orders(
            subscription=strategy_id, state=states, page_size=rows, page_token=page or None
        )
        return [_order(one) for one in found["orders"]], found["nextPageToken"]

    return page_of(fetch, limit, ["the way of an order and its latencies: get_order"])


_OF_BOTS = ("OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELLED", "REJECTED", "EXPIRED")
_OF_AN_ORDER = (
    "id", "purpose", "side", "state", "reason", "size", "limitPrice", "filledSize",
    "filledNotional", "fees", "conditionId", "assetId", "leaderTx",
)  # fmt: skip


def _order(order: Any) -> Json:
    reported = {name: order[name] for name in _OF_AN_ORDER if order.get(name)}
    at = order.get("times", {}).get("claimedAt")
    return reported | ({"claimedAt": at} if at else {})


@plainly
def get_strategy_performance(
    ctx: Ctx, strategy_id: Strategy, interval: Literal["1h", "1d"] = "1d",
    days: Annotated[int, Field(ge=1, le=90, description="So many days back from now.")] = _DAYS,
) -> RecordAnswer:  # fmt: skip
    """Get what a strategy has gained: a series of equity (realised and marked, less fees) with its
    drawdown, and the sums so far; of a bot realised, unrealised, fees, funding, and by source."""
    if bots.is_bot(strategy_id):
        return bots.performance(engine_of(ctx), strategy_id, interval, days)
    rest = engine_of(ctx).rest
    since = datetime.now(UTC) - timedelta(days=days)
    found = rest.get_subscription_performance(
        strategy_id, interval=interval, from_ms=int(since.timestamp() * 1000)
    )
    points = [dict(point) for point in found["points"]]
    # The newest one stays, whatever the step.
    step = -(-len(points) // _POINTS) or 1
    kept = points[::-1][::step]
    left = [f"points: each {step}th of {len(points)}"] if step > 1 else []
    reported = {
        "strategyId": strategy_id, "interval": interval,
        "statistics": rest.get_subscription(strategy_id).get("statistics", {}),
        "pointsNewestFirst": [_point(point) for point in kept], "asOf": found.get("asOf", ""),
    }  # fmt: skip
    return record_of(reported, left)


def _point(point: Json) -> Json:
    names = ("at", "equity", "realised", "marked", "fees", "drawdown", "openCost")
    return {name: point[name] for name in names if name in point}


@plainly
def why_not_copied(
    ctx: Ctx,
    what: Annotated[
        str,
        Field(
            max_length=110,
            description="The leader's transaction (0x and 64 digits), an order's id (64 digits), or"
            " sub_.../0x... for one strategy's decision.",
        ),
    ],
    wallet: Wallet = "",
    strategy_id: Annotated[
        str, Field(pattern="^(sub_[0-9a-f]{32})?$", description="Only of this strategy.")
    ] = "",
) -> RecordAnswer:
    """Say why a follower did, or did not, copy a leader's trade: outcome, reason, sentences with
    the numbers that were compared."""
    engine = engine_of(ctx)
    found = decisions.find(engine, what, wallet=wallet, sub=strategy_id, limit=_EXPLAINED + 1)
    reported = [decisions.explained(engine, one, [], whole=True) for one in found[:_EXPLAINED]]
    said = [
        {
            "strategyId": one.subscription_id, "wallet": one.follower_proxy, "leader": one.leader,
            "outcome": one.outcome, "reason": one.reason, "sentences": one.sentences,
            "orderIds": [order["id"] for order in one.decision["orders"]],
        }
        for one in reported
    ]  # fmt: skip
    left = ["what a reason means: the resource tt://reasons"]
    if len(found) > _EXPLAINED:
        left.append(f"decisions beyond {_EXPLAINED}: name a wallet or a strategy")
    return record_of(_halts(engine), left, said={"asked": what, "decisions": said})


def _halts(engine: Engine) -> Json:
    """Return what an operator's token sees of halts; nothing without one."""
    if not engine.has_operator:
        return {}
    halts = engine.operate("ListHalts")["halts"]
    return {"haltsInForce": [{name: halt[name] for name in halt} for halt in halts]}


@plainly
def get_order(
    ctx: Ctx,
    order_id: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="As orders have it.")],
) -> RecordAnswer:
    """Get an order: its state, what was filled, and its way from the leader's trade to the fill,
    with the time between two steps."""
    found = dict(engine_of(ctx).rest.get_follower_order(order_id))
    way = [msgspec.to_builtins(hop) for hop in timeline.hops(found)]
    found.pop("times", None)
    said = {"way": way, "ownTimeUs": timeline.own_time_us(found)}
    return record_of(found, ["why it is as it is: why_not_copied"], said=said)


@plainly
def list_events(
    ctx: Ctx,
    types: Annotated[
        str,
        Field(
            pattern=r"^([a-z_]+\.[a-z_.*]+(,[a-z_]+\.[a-z_.*]+){0,15})?$",
            description="order.failed,trigger.* for instance; empty: all. See tt://docs/events.",
        ),
    ] = "",
    wallet: Wallet = "",
    strategy_id: Annotated[
        str, Field(pattern="^(sub_[0-9a-f]{32})?$", description="Only of this strategy.")
    ] = "",
    hours: Annotated[
        int, Field(ge=1, le=168, description="Not older than this; of the newest.")
    ] = 24,
    limit: Limit = 20,
) -> PageAnswer:
    """List what happened, the newest events, oldest first: copies, skips, fills, failures,
    triggers, halts, pauses."""
    engine = engine_of(ctx)
    since = datetime.now(UTC) - timedelta(hours=hours)

    def fetch(rows: int) -> tuple[list[Json], str]:
        found = event_log.latest(
            engine, types=types, wallet=wallet, sub=strategy_id, limit=rows, reach=_REACH,
            since=since,
        )  # fmt: skip
        return [_event(one) for one in found], ""

    narrower = "narrow types, wallet or strategy_id, or ask for more"
    left = [
        f"events before the newest {limit}, or older than {hours} h: {narrower}",
        f"what is not among the newest {_REACH} events of the whole engine",
    ]
    return page_of(fetch, limit, left)


def _event(event: Json) -> Json:
    data = {name: value for name, value in event.get("data", {}).items() if value not in ("", [])}
    reported = {name: event[name] for name in ("sequence", "time", "type", "subject")}
    return reported | {"data": data}


@plainly
def who_am_i(ctx: Ctx) -> RecordAnswer:
    """Say who the caller is to the engine and what he may do: scope, and of a person his role
    (admin, operator, viewer) and the exchanges that he is operator of; none is none."""
    # Names of users and tokens are the engine's own, a few plain characters each.
    return record_of({}, said=dict(engine_of(ctx).rest.get_caller()))


@plainly
def engine_health(ctx: Ctx) -> RecordAnswer:
    """Say how the engine is: each process, since when, and how far behind; with an operator's token
    also halts, circuit breakers and orders that wait for a person."""
    engine = engine_of(ctx)
    found: Json = dict(engine.rest.get_engine_health()) | _halts(engine)
    if not engine.has_operator:
        return record_of(
            found, ["halts, breakers, orders for a person: they need an operator's token"]
        )
    breakers = engine.operate("ListBreakers")["breakers"]
    found["openBreakers"] = [one for one in breakers if one["state"] != "BREAKER_STATE_CLOSED"]
    waiting = engine.operate_pages("ListOrders", "orders", limit=50)
    found["ordersForAPerson"] = [one["orderKey"] for one in waiting]
    return record_of(found)


TOOLS = (
    list_strategies, get_strategy, get_strategy_orders, get_strategy_performance, why_not_copied,
    get_order, list_events, engine_health, who_am_i,
)  # fmt: skip
