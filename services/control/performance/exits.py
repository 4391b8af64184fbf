"""The exits of a loss stop: time stops of each lot, which the guard fires as any other.

They sell what a lot holds, once, beside whatever else sells it: the guard reserves shares.
"""

from __future__ import annotations

from services.control.store import Change, Row, queries
from tradingtools.domain.performance import exit_id
from tradingtools.domain.trigger_states import EDITABLE, TriggerStatus

_SQL = queries("performance/queries")


async def sell(change: Change, row: Row, action: str) -> list[str]:
    """Have everything that the subscription holds, and is getting, sold; returns the triggers."""
    made: list[str] = []
    for lot in await change.rows(_SQL["to_sell"], id=row["id"]):
        name = exit_id(action, lot["asset_id"])
        status = TriggerStatus.ARMED if lot["held"] else TriggerStatus.WAITING
        await change.rows(
            _SQL["add_exit"],
            exit=name,
            proxy=row["follower_proxy"],
            condition_id=lot["condition_id"],
            asset_id=lot["asset_id"],
            id=row["id"],
            action=action,
            status=status,
        )
        await change.rows(
            _SQL["note_exit"], exit=name, before="", status=status,
            detail=f"by performance action {action}",
        )  # fmt: skip
        after = await change.row(_SQL["trigger"], exit=name)
        await change.record(
            "create", "trigger", name, before=None, after=after["audit"] if after else None
        )
        made.append(name)
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
    for trigger in unfired:
        name = trigger["id"]
        await change.rows(_SQL["cancel_exit"], exit=name)
        await change.rows(
            _SQL["note_exit"], exit=name, before=trigger["status"],
            status=TriggerStatus.CANCELLED, detail="the subscription was resumed",
        )  # fmt: skip
        after = await change.row(_SQL["trigger"], exit=name)
        await change.record(
            "delete", "trigger", name, before=trigger["audit"],
            after=after["audit"] if after else None,
        )  # fmt: skip
