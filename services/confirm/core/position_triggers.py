"""Make the triggers of a position with its first fill. Pure.

Before it: the ledger, which writes them in the transaction that books the fill; after it the
guard, which finds them with the fill.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tradingtools.domain.default_triggers import (
    NewTrigger,
    exit_at_once,
    from_json,
    triggers_for,
)
from tradingtools.domain.money import MICROS, to_text
from tradingtools.domain.performance import action_id
from tradingtools.domain.trigger_types import rungs_to_fields
from tradingtools.domain.venue_order import VenueTrade


def begins(
    held_micros: int,
    *,
    order_micros: int,
    first: bool,
    sold_out: bool,
    smallest_micros: int | None,
) -> bool:
    """Return whether a fill of a buy begins a position: its lot held nothing, or no more than a
    remainder that cannot be sold. Less than the order it is in any case: the guard looks at nothing
    else.

    Args:
        held_micros: what the lot held before.
        order_micros: the size of the fill's order.
        first: no other fill of that order stands: a small first fill is no remainder to the next.
        sold_out: a default trigger of the lot's newest set has sold all that it could, maybe of an
            earlier fill of the same order.
        smallest_micros: the smallest order of the market; None: not known.
    """
    if held_micros == 0:
        return True
    unsellable = sold_out or (first and held_micros < (smallest_micros or 0))
    return unsellable and held_micros < order_micros


def of_position(
    order: Mapping[str, Any], trade: VenueTrade, guard: Mapping[str, Any], now_ms: int
) -> Iterator[dict[str, Any]]:
    """Return rows of the triggers of the position that a fill has opened.

    Where a loss stop sells all, an exit is one of them: whoever resumes takes back that one alone.

    Args:
        order: the row of the fill's order.
        trade: the fill.
        guard: a row of ``default_triggers``.
        now_ms: the time, milliseconds since 1970.
    """
    entry = min(max(-(-trade.notional_micros * MICROS // trade.size_micros), 1), MICROS - 1)
    at: dict[str, Any] = {
        "opened_ms": now_ms, "order_key": order["order_key"], "trade_id": trade.trade_id,
    }  # fmt: skip
    told = f"by default for an entry at {to_text(entry)}"
    for new in triggers_for(from_json(guard["triggers"]), entry_micros=entry, **at):
        yield _row(order, trade, new, exit_of="", detail=told)
    if guard["exiting_since"] is not None:
        action = action_id(order["subscription_id"], guard["exiting_since"] - 1)
        told = f"by performance action {action}"
        yield _row(order, trade, exit_at_once(**at), exit_of=action, detail=told)


def _row(
    order: Mapping[str, Any], trade: VenueTrade, new: NewTrigger, *, exit_of: str, detail: str
) -> dict[str, Any]:
    return {
        "id": new.id,
        "follower_proxy": order["follower_proxy"],
        "condition_id": order["condition_id"],
        "asset_id": order["asset_id"],
        "origin": order["subscription_id"],
        "trigger_type": new.trigger_type.value,
        "price_micros": new.price_micros,
        "callback_ppm": new.callback_ppm,
        "fire_at_ms": new.fire_at_ms,
        "rungs": rungs_to_fields(new.rungs) if new.rungs else None,
        "break_even": new.break_even,
        # An order may open two: what it fills later may find the lot sold out.
        "made_for": f"{order['order_key']}:{trade.trade_id}",
        "exit_of": exit_of,
        "detail": detail,
    }
