"""Bots as strategies of the tools that read: what `list_strategies` and those behind it answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from cli.core.answers import Json
from cli.core.words import bare
from cli.engine import Engine
from cli.mcp.answers import PageAnswer, RecordAnswer, page_of, record_of

_STATE, _SIDE = "BOT_STATE_", "SIDE_"
_MAX_POINTS = 1_500
_RETAINED_POINTS = 60
_STEPS: dict[str, Any] = {"1h": "PNL_STEP_HOUR", "1d": "PNL_STEP_DAY"}


def is_bot(strategy_id: str) -> bool:
    """Return whether an id is a bot's; a subscription's begins with ``sub_``."""
    return not strategy_id.startswith("sub_")


def listed(engine: Engine, limit: int, page: str) -> PageAnswer:
    """Return bots, the oldest first."""

    def fetch(rows: int) -> tuple[list[Json], str]:
        found = engine.rest.list_bots(page_size=rows, page_token=page or None)
        return [_short(one) for one in found["bots"]], found["nextPageToken"]

    return page_of(fetch, limit, ["settings, quotes and why they are there: get_strategy"])


def _short(bot: Any) -> Json:
    return {
        "id": bot["id"], "kind": "bot", "name": bot["name"], "strategy": bot["strategy"],
        "wallet": bot["walletId"], "instruments": bot["instruments"],
        "state": bare(bot["state"], _STATE), "reason": bot["reason"],
        "result": bot.get("equity", {}).get("result", ""),
    }  # fmt: skip


def shown(engine: Engine, bot_id: str) -> RecordAnswer:
    """Return a bot with its positions, and why each quote is where it is."""
    found: Json = dict(engine.rest.get_bot(bot_id))
    found["positions"] = engine.rest.list_bot_positions(bot_id)["positions"]
    found.pop("holdings", None)
    left = ["orders: get_strategy_orders", "results over time: get_strategy_performance"]
    return record_of(found, left, said={"kind": "bot"})


def orders(engine: Engine, bot_id: str, state: str, limit: int, page: str) -> PageAnswer:
    """Return orders of a bot, the newest first; with a state those of the page in it."""

    def fetch(rows: int) -> tuple[list[Json], str]:
        found = engine.rest.list_bot_orders(bot_id, page_size=rows, page_token=page or None)
        mine = [one for one in found["orders"] if not state or one["state"] == state]
        return [_order(one) for one in mine], found["nextPageToken"]

    return page_of(fetch, limit, ["fills and rejections: list_events with types bot.*"])


def _order(order: Any) -> Json:
    names = ("id", "slot", "instrumentId", "state", "price", "size", "filled", "createdAt")
    return {name: order[name] for name in names} | {"side": bare(order["side"], _SIDE)}


def performance(
    engine: Engine, bot_id: str, interval: Literal["1h", "1d"], days: int
) -> RecordAnswer:
    """Return what a bot had made over time, by source where its strategy says it."""
    since = datetime.now(UTC) - timedelta(days=days)
    found = engine.rest.list_bot_pnl(
        bot_id, from_ms=int(since.timestamp() * 1000), step=_STEPS[interval],
        page_size=_MAX_POINTS,
    )  # fmt: skip
    points: list[Json] = [dict(point) for point in found["points"]]
    # The newest one stays, whatever the step.
    each = -(-len(points) // _RETAINED_POINTS) or 1
    left = [f"points: each {each}th of {len(points)}"] if each > 1 else []
    reported: Json = {
        "strategyId": bot_id,
        "interval": interval,
        "pointsNewestFirst": points[::each],
    }
    return record_of(reported, [*left, "positions: get_strategy"], said={"kind": "bot"})
