"""The product backend's shape of a trigger, mapped to ours and back.

Its prices and sizes are JSON numbers: the edge makes doubles of them, and here the shortest decimal
text of each is rounded to a micro, once. What a backend reckoned in doubles (0.1 + 0.2) is meant to
be that. The gate lets only numbers through whose doubles have six exact decimals.
"""

from __future__ import annotations

from services.control import parsing
from services.control.messages import timestamp
from services.control.store import Row
from services.control.triggers import manual_lots
from services.control.triggers.rules import NewTrigger, TriggerTerms
from tradingtools.domain import ids
from tradingtools.domain.money import floor_to, notional_floor, parse_rounded, size_for, to_text
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import MANUAL, TriggerType
from tradingtools.v1 import trigger_service_pb2 as trigger

KINDS = (TriggerType.TAKE_PROFIT, TriggerType.STOP_LOSS)
"""The only ones that have this shape."""
_STEP_MICROS = 10_000
_SHARES_MICROS = 10**15
"""As many cannot be reported in shares either."""
_STATUSES = {
    TriggerStatus.WAITING: "pending",
    TriggerStatus.ARMED: "pending",
    TriggerStatus.SUSPENDED: "pending",
    TriggerStatus.TRIGGERED: "triggered",
    TriggerStatus.CLOSING: "triggered",
    TriggerStatus.NEEDS_CONFIRM: "triggered",
    TriggerStatus.DONE: "triggered",
    TriggerStatus.CANCELLED: "cancelled",
    TriggerStatus.RESOLVED: "cancelled",
}


def new_trigger(request: trigger.CreateSimpleTriggerRequest) -> NewTrigger:
    """Read the new trigger from a create; raises InvalidField."""
    price = parse_rounded(repr(request.trigger_price))
    size = None
    if request.HasField("size"):
        size = floor_to(size_for(parse_rounded(repr(request.size)), price), _STEP_MICROS)
        if size == 0:
            raise parsing.refuse("size", "the price of a hundredth of a share, or more")
        if size >= _SHARES_MICROS:
            raise parsing.refuse("size", "less than the price of 1000000000 shares")
    manual = manual_lots.parse(request)
    return NewTrigger(
        wallet=parsing.canonical(ids.wallet, request.wallet_address, "walletAddress"),
        condition_id=parsing.canonical(ids.hash32, request.condition_id, "conditionId"),
        asset_id=parsing.canonical(ids.asset, request.asset_id, "assetId"),
        trigger_type=TriggerType(request.trigger_type.upper()),
        terms=TriggerTerms(price_micros=price, size_micros=size),
        origin=MANUAL if manual is not None else request.subscription_id,
        manual=manual,
    )


def message(row: Row) -> trigger.SimpleTrigger:
    """A take-profit's or stop-loss's row."""
    shown = trigger.SimpleTrigger(
        id=row["id"],
        wallet_address=row["follower_proxy"],
        condition_id=row["condition_id"],
        asset_id=row["asset_id"],
        side="sell",
        trigger_type=row["trigger_type"].lower(),
        trigger_price=float(to_text(row["price_micros"])),
        status=status(row),
        created_at=timestamp(row["created_at"]),
        subscription_id="" if row["origin"] == MANUAL else row["origin"],
    )
    if row["size_micros"] is not None:
        notional = notional_floor(row["size_micros"], row["price_micros"])
        shown.size = float(to_text(notional))
    return shown


def status(row: Row) -> str:
    """One of the four: what is done without having sold anything has failed."""
    found = TriggerStatus(row["status"])
    failed = found is TriggerStatus.DONE and row["sold_micros"] == 0
    return "failed" if failed else _STATUSES[found]
