"""Lots of what a follower has bought by hand: as large as the caller says.

`report_shares` is called in the transaction that makes a trigger of such a lot, under the lot's
lock: an exit is either counted here or comes after the caller's report.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.control.parsing import amount, refuse
from services.control.store import Change, queries
from services.control.triggers.rules import ManualLot, NewTrigger
from tradingtools.domain.money import to_text
from tradingtools.v1 import trigger_service_pb2 as trigger

_SQL = queries("triggers/queries")


def parse(
    request: trigger.CreateTriggerRequest | trigger.CreateSimpleTriggerRequest,
) -> ManualLot | None:
    """Return what a create tells of shares bought by hand; None: it names a subscription.

    Raises:
        InvalidField: neither or both, or a size that is no amount.
    """
    given = request.HasField("manual_lot")
    if given is bool(request.subscription_id):
        raise refuse("subscriptionId", "either a subscription or manualLot")
    if not given:
        return None
    lot = request.manual_lot
    return ManualLot(
        user_id=lot.follower_user_id,
        wallet_id=lot.follower_wallet_id,
        held_micros=amount(lot.held_size, "manualLot.heldSize"),
    )


async def report_shares(change: Change, new: NewTrigger, lot: ManualLot) -> None:
    """Make the lot hold what the caller says it holds.

    Raises:
        InvalidField: exits are selling more than that, the lot would grow while what they have sold
            is not settled, or the asset is of another market.
    """
    key = {"wallet": new.wallet, "asset_id": new.asset_id}
    await change.rows(_SQL["make_manual_lot"], **key, condition_id=new.condition_id)
    row = await change.row(_SQL["lock_manual_lot"], **key)
    if row is None or row["condition_id"] != new.condition_id:
        raise refuse("conditionId", "the market of the asset that the lot holds")
    reserved = await change.row(_SQL["manual_reserved"], **key)
    selling = reserved["reserved_micros"] if reserved is not None else 0
    if lot.held_micros < selling:
        raise refuse("manualLot.heldSize", f"at least {to_text(selling)}, which exits are selling")
    if row["shares_micros"] == lot.held_micros:
        return
    if lot.held_micros > row["shares_micros"]:
        await _refuse_what_is_sold(change, key, row["shares_micros"])
    await change.rows(_SQL["empty_manual_entries"], **key)
    await change.rows(_SQL["add_manual_entry"], **key, held=lot.held_micros)
    await change.rows(_SQL["tell_manual_lot"], **key, held=lot.held_micros)


async def _refuse_what_is_sold(change: Change, key: Mapping[str, str], held_micros: int) -> None:
    """Refuse a lot that counts shares which exits have sold and which are not settled yet.

    The chain still shows them to whoever asks. A stop that counts them sells more than there is:
    the venue refuses it as long as the lot is too large.
    """
    row = await change.row(_SQL["manual_unsettled"], **key)
    unsettled = row["unsettled_micros"] if row is not None else 0
    if unsettled:
        raise refuse(
            "manualLot.heldSize",
            f"at most {to_text(held_micros)}: {to_text(unsettled)} that exits have sold are not"
            " settled yet",
        )
