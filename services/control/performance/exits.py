"""The exits of loss stops: time stops of each lot, which the guard fires as any other.

They sell what a lot holds, once, beside whatever else sells it: the guard reserves shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg.types.json import Jsonb

from services.control.store import Change, Entry, Row, queries
from tradingtools.domain.performance import exit_id
from tradingtools.domain.trigger_states import EDITABLE, TriggerStatus

_SQL = queries("performance/queries")


async def sell(
    change: Change, rows: Sequence[Row], actions: Mapping[str, str]
) -> dict[str, list[str]]:
    """Have everything that subscriptions hold, and are getting, sold.

    Args:
        change: under which.
        rows: of the subscriptions.
        actions: why, by subscription: ids of performance actions.

    Returns:
        The triggers, by subscription.
    """
    made: dict[str, list[str]] = {row["id"]: [] for row in rows}
    if not rows:
        return made
    proxies = {row["id"]: row["follower_proxy"] for row in rows}
    exits: list[Row] = []
    for lot in await change.rows(_SQL["to_sell"], ids=list(made)):
        action = actions[lot["origin"]]
        name = exit_id(action, lot["asset_id"])
        made[lot["origin"]].append(name)
        status = TriggerStatus.ARMED if lot["held"] else TriggerStatus.WAITING
        exits.append(
            {
                "id": name, "proxy": proxies[lot["origin"]], "condition_id": lot["condition_id"],
                "asset_id": lot["asset_id"], "origin": lot["origin"], "action": action,
                "status": status.value, "before": "", "detail": f"by performance action {action}",
                "place": len(exits),
            }
        )  # fmt: skip
    if not exits:
        return made
    after = await change.rows(_SQL["add_exits"], exits=Jsonb(exits))
    await change.rows(_SQL["note_exits"], exits=Jsonb(exits))
    audits = {row["id"]: row["audit"] for row in after}
    await change.record_all(
        [
            Entry(action="create", kind="trigger", subject=one["id"], before=None,
                  after=audits[one["id"]])
            for one in exits
        ]
    )  # fmt: skip
    return made


async def take_back(change: Change, row: Row) -> None:
    """Cancel the exits of a loss stop that have not fired: its subscription is resumed.

    Of one that has fired, the order under way is the last: the guard ends it then.
    """
    unfired = await change.rows(
        _SQL["unfired"],
        id=row["id"],
        proxy=row["follower_proxy"],
        statuses=[status.value for status in EDITABLE],
    )
    if not unfired:
        return
    after = await change.rows(_SQL["cancel_exits"], ids=[one["id"] for one in unfired])
    notes = [
        {"place": place, "id": one["id"], "before": one["status"],
         "status": TriggerStatus.CANCELLED.value, "detail": "the subscription was resumed"}
        for place, one in enumerate(unfired)
    ]  # fmt: skip
    await change.rows(_SQL["note_exits"], exits=Jsonb(notes))
    audits = {one["id"]: one["audit"] for one in after}
    await change.record_all(
        [
            Entry(action="delete", kind="trigger", subject=one["id"], before=one["audit"],
                  after=audits[one["id"]])
            for one in unfired
        ]
    )  # fmt: skip
