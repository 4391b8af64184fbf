"""Make the triggers of a position with its first fill, or its adoption. Pure.

Before it: the ledger and `corrections`, which write them in the transaction that books the fill or
the adoption; after it the guard, which finds them with the booking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tradingtools.domain.default_triggers import (
    DefaultTriggers,
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

    Args:
        order: the row of the fill's order.
        trade: the fill.
        guard: a row of ``default_triggers``.
        now_ms: the time, milliseconds since 1970.
    """
    lot = {
        "follower_proxy": order["follower_proxy"], "asset_id": order["asset_id"],
        "origin": order["subscription_id"], "condition_id": order["condition_id"],
    }  # fmt: skip
    # An order may open two: what it fills later may find the lot sold out.
    made_for = f"{order['order_key']}:{trade.trade_id}"
    entry = _entry(trade.notional_micros, trade.size_micros)
    return _rows(lot, made_for, guard, from_json(guard["triggers"]), entry, now_ms)


def of_adoption(
    lot: Mapping[str, Any],
    made_for: str,
    guard: Mapping[str, Any],
    *,
    shares_micros: int,
    cost_micros: int,
    now_ms: int,
) -> Iterator[dict[str, Any]]:
    """Return the same of the position that adopted shares have opened.

    What they have cost may not be known: then nothing counts from it.

    Args:
        lot: its key, and its market.
        made_for: the name of the adoption.
        guard: a row of ``lock_asset``.
        shares_micros: that were adopted.
        cost_micros: what they have cost; 0: not known.
        now_ms: the time, milliseconds since 1970.
    """
    defaults = from_json(guard["triggers"])
    if not cost_micros:
        defaults = DefaultTriggers(time_stop_seconds=defaults.time_stop_seconds)
    entry = _entry(cost_micros, shares_micros)
    return _rows(lot, made_for, guard, defaults, entry, now_ms)


def _entry(cost_micros: int, size_micros: int) -> int:
    return min(max(-(-cost_micros * MICROS // size_micros), 1), MICROS - 1)


def _rows(
    lot: Mapping[str, Any],
    made_for: str,
    guard: Mapping[str, Any],
    defaults: DefaultTriggers,
    entry_micros: int,
    now_ms: int,
) -> Iterator[dict[str, Any]]:
    """Yield them. Where a loss stop sells all, an exit is one of them: a resume takes back that one
    alone."""
    detail = f"by default for an entry at {to_text(entry_micros)}"
    for new in triggers_for(
        defaults, entry_micros=entry_micros, opened_ms=now_ms, made_for=made_for
    ):
        yield _row(lot, made_for, new, exit_of="", detail=detail)
    if guard["exiting_since"] is not None:
        action = action_id(lot["origin"], guard["exiting_since"] - 1)
        new = exit_at_once(opened_ms=now_ms, made_for=made_for)
        yield _row(lot, made_for, new, exit_of=action, detail=f"by performance action {action}")


def _row(
    lot: Mapping[str, Any], made_for: str, new: NewTrigger, *, exit_of: str, detail: str
) -> dict[str, Any]:
    return {
        **{name: lot[name] for name in ("follower_proxy", "asset_id", "origin", "condition_id")},
        "id": new.id,
        "trigger_type": new.trigger_type.value,
        "price_micros": new.price_micros,
        "callback_ppm": new.callback_ppm,
        "fire_at_ms": new.fire_at_ms,
        "rungs": rungs_to_fields(new.rungs) if new.rungs else None,
        "break_even": new.break_even,
        "made_for": made_for,
        "exit_of": exit_of,
        "detail": detail,
    }
