"""Apply a plan to the router's state, and revert it when it does not become durable.

A single plan is applied after its commit. Of buys that are claimed together each is applied before
the next is planned, so that the next sees its reservations; all are reverted if the commit fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.router.core.ledger import DAY_MS, OpenEntry
from services.router.core.records import Copy, Plan
from services.router.core.router_state import RouterState
from tradingtools.domain.leader_trade import LeaderTrade
from tradingtools.domain.order import Order, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPlan:
    """A plan that was noted, and what it replaced."""

    trade: LeaderTrade
    plan: Plan
    now_ms: int
    copies: Mapping[str, Copy]
    """Of the trade, as they were; those that are new are not in it."""
    owners: Mapping[str, str]
    """Subscriptions that had claimed an entry before, by copy key."""


def apply(state: RouterState, trade: LeaderTrade, plan: Plan, now_ms: int) -> AppliedPlan:
    """Apply a plan: copies, reservations, and which order belongs to which trade."""
    known = state.copies.get(trade.key, {})
    before = AppliedPlan(
        trade=trade,
        plan=plan,
        now_ms=now_ms,
        copies={i: known[i] for i in plan.copies if i in known},
        owners={
            order.copy_key: state.entry_owner[order.copy_key]
            for order in plan.orders
            if order.copy_key in state.entry_owner
        },
    )
    for copy in plan.copies.values():
        state.note_copy(trade, copy, now_ms)
    for buy, copies in plan.left.items():
        for identifier, copy in copies.items():
            state.put_copy(buy, identifier, copy)
    for order_key in plan.left_orders:
        state.ledger.release(order_key, size_micros=0, filled_micros=0)
    for order in plan.orders:
        if order.purpose is Purpose.ENTRY:
            state.entry_trade[order.order_key] = trade.key
            state.entry_owner[order.copy_key] = order.subscription_id
            state.ledger.reserve(order.order_key, open_entry(order, now_ms // DAY_MS))
        else:
            state.slice_claimed(order.order_key, trade.key, order.subscription_id)
    return before


def revert(state: RouterState, applied: AppliedPlan) -> None:
    """Undo an applied plan of a buy; the last one applied is reverted first."""
    for order in reversed(applied.plan.orders):
        state.ledger.release(order.order_key, size_micros=0, filled_micros=0)
        state.entry_trade.pop(order.order_key, None)
        owner = applied.owners.get(order.copy_key)
        if owner is None:
            state.entry_owner.pop(order.copy_key, None)
        else:
            state.entry_owner[order.copy_key] = owner
    for identifier, copy in applied.plan.copies.items():
        state.note_copy(
            applied.trade,
            applied.copies.get(identifier) or Copy(frozen=copy.frozen),
            applied.now_ms,
        )
        if identifier not in applied.copies:
            state.forget_copy(applied.trade.key, identifier)


def open_entry(order: Order, day: int) -> OpenEntry:
    """Return what a new entry reserves; ``day`` counts from the epoch."""
    return OpenEntry(
        subscription_id=order.subscription_id,
        proxy=order.follower.proxy,
        condition_id=order.condition_id,
        asset_id=order.asset_id,
        copy_key=order.copy_key,
        money_micros=order.reserved_money_micros,
        day=day,
    )
