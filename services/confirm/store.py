"""Bookings and ends in PostgreSQL: one order, one transaction, one lot under lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.confirm import lot_store
from services.confirm.core import booking
from services.confirm.core import contradiction as judging
from services.confirm.core.booking import End, FillStatus
from services.confirm.core.contradiction import Booked, Finding, Ours
from services.confirm.lot_store import QUERIES, Connection, every, one
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.domain.venue_order import VenueOrder

ACTOR = "confirm"
_TAKES_FILLS = (OrderState.SUBMITTED, OrderState.RESURRECTED)
_REASONS = {OrderState.DEAD: Reason.CONTRADICTION, OrderState.RESURRECTED: Reason.APPEARED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of an order by one answer."""

    before: OrderState
    state: OrderState
    epoch: int
    problem: str = ""
    """Why the answer cannot be about this order; empty: it can."""


async def fetch(pool: Pool, name: str, **values: Any) -> list[dict[str, Any]]:
    """All rows of one named query."""
    async with pool.connection() as connection:
        return await every(connection, name, values)


async def execute(pool: Pool, name: str, **values: Any) -> None:
    """Run one named statement."""
    async with pool.connection() as connection:
        await connection.execute(QUERIES[name], values)


async def transition(pool: Pool, transitions: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Apply transitions; returns the keys that changed with their event numbers."""
    async with pool.connection() as connection, connection.transaction():
        return await journal.apply_transitions(connection, transitions)


async def take(pool: Pool, lease: Lease, order_key: str, answer: VenueOrder, now_ns: int) -> Taken:
    """Take an answer under an order's key: move the order, book what is new, end what has ended.

    A crash before the commit changes nothing; repeating changes nothing twice. When the order
    turns out RESURRECTED, its wallet is set to REDUCING in the same transaction.

    Args:
        pool: of the deciding database.
        lease: of the process that books.
        order_key: of the order.
        answer: of insiders-api, about this key.
        now_ns: for the order's time of confirmation.

    Raises:
        Fenced: somebody else books now.
    """
    reducing = False
    while True:
        try:
            return await _take(pool, lease, order_key, answer, now_ns, reducing=reducing)
        except _BeginAgain:
            reducing = not reducing


class _BeginAgain(Exception):
    """The control lock comes before any row: whether it is needed was guessed wrong."""


async def _take(
    pool: Pool, lease: Lease, order_key: str, answer: VenueOrder, now_ns: int, *, reducing: bool
) -> Taken:
    """One transaction; raises _BeginAgain, and has changed nothing."""
    async with pool.connection() as connection, connection.transaction():
        if reducing:
            await _reduce(connection, order_key)
        await journal.check_lease(connection, lease)
        order = await one(connection, "lock_order", {"order_key": order_key})
        before = OrderState(order["state"])
        rows = await every(connection, "fills", {"order_key": order_key})
        ours, known = _ours(order), {row["trade_id"]: booked(row) for row in rows}
        found, target = _follows(order, known, answer)
        if (target is OrderState.RESURRECTED) is not reducing:
            raise _BeginAgain
        problem = judging.contradiction(ours, known, answer)
        state = target or before
        if target is not None:
            await _move(connection, order, target, answer, problem)
            order = await one(connection, "lock_order", {"order_key": order_key})
        if state in _TAKES_FILLS and found is not Finding.CONTRADICTION:
            state = await _book(connection, order, rows, answer, now_ns)
        return Taken(before=before, state=state, epoch=order["epoch"], problem=problem)


async def tells_nothing_new(pool: Pool, ended: Mapping[str, Any], answer: VenueOrder) -> bool:
    """Whether an answer leaves an order as it is; asked without a lock, so that nobody waits.

    Args:
        pool: of the deciding database.
        ended: a row of ``watched``. A RESURRECTED one may always have fills to be booked.
        answer: of insiders-api, about its key.
    """
    if ended["state"] == OrderState.RESURRECTED:
        return False
    rows = await fetch(pool, "fills", order_key=ended["order_key"])
    _, target = _follows(ended, {row["trade_id"]: booked(row) for row in rows}, answer)
    return target is None


def _follows(
    order: Mapping[str, Any], known: Mapping[str, Booked], answer: VenueOrder
) -> tuple[Finding, OrderState | None]:
    found = judging.finding(_ours(order), known, answer)
    kind = FailedKind(order["failed_kind"]) if order["failed_kind"] else None
    return found, judging.follows(OrderState(order["state"]), kind, found)


async def _reduce(connection: Connection, order_key: str) -> None:
    wallet = (await one(connection, "wallet", {"order_key": order_key}))["follower_proxy"]
    await connection.execute(
        QUERIES["reduce_wallet"],
        {"wallet": wallet, "actor": ACTOR, "reason": f"order {order_key} appeared after its end"},
    )


def _ours(order: Mapping[str, Any]) -> Ours:
    return Ours(
        side=order["side"],
        asset_id=order["asset_id"],
        follower_proxy=order["follower_proxy"],
        size_micros=order["size_micros"],
        venue_order_id=order["venue_order_id"],
    )


def booked(row: Mapping[str, Any]) -> Booked:
    """A fill's row as the core knows it."""
    return Booked(
        status=FillStatus(row["status"]),
        size_micros=row["size_micros"],
        notional_micros=row["notional_micros"],
        fee_micros=row["fee_micros"],
    )


async def _move(
    connection: Connection,
    order: Mapping[str, Any],
    target: OrderState,
    answer: VenueOrder,
    problem: str,
) -> None:
    await journal.apply_transitions(
        connection,
        [
            {
                "order_key": order["order_key"],
                "from_state": order["state"],
                "to_state": target,
                "expected_epoch": order["epoch"],
                "reason": _REASONS.get(target, Reason.NONE),
                "venue_order_id": None if problem else answer.order_id or None,
                "detail": problem or None,
            }
        ],
    )
    if target is OrderState.RESURRECTED:
        # It may still fill: what it was to cost is set aside again until the far side is done.
        await connection.execute(QUERIES["reserve_again"], {"order_key": order["order_key"]})


async def _book(
    connection: Connection,
    order: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    answer: VenueOrder,
    now_ns: int,
) -> OrderState:
    """Book what is new in an answer; returns the state after it."""
    state = OrderState(order["state"])
    known = {row["trade_id"]: FillStatus(row["status"]) for row in rows}
    costs = {row["trade_id"]: row["cost_micros"] for row in rows}
    todo = booking.steps(known, answer)
    if todo:
        await lot_store.lock_lot(connection, order)
    for step in todo:
        await lot_store.take(connection, order, step, costs)
    ending = booking.end(booking.after(known, todo), answer)
    if ending is None:
        return state
    if state is OrderState.RESURRECTED:
        # A person ends it; but nothing more can fill, so nothing more is set aside.
        released = await every(connection, "release", {"order_key": order["order_key"]})
        if released:
            await add_closed(connection, order, state, order["reason"], state)
        return state
    await _end(connection, order, ending, now_ns)
    return ending.state


async def close(pool: Pool, lease: Lease, order_key: str) -> None:
    """Add the CLOSED booking of an order that has ended elsewhere; once. Raises Fenced."""
    async with pool.connection() as connection, connection.transaction():
        await journal.check_lease(connection, lease)
        order = await one(connection, "lock_order", {"order_key": order_key})
        await add_closed(connection, order, order["state"], order["reason"])


async def _end(connection: Connection, order: Mapping[str, Any], ending: End, now_ns: int) -> None:
    changed = await journal.apply_transitions(
        connection,
        [
            {
                "order_key": order["order_key"],
                "from_state": OrderState.SUBMITTED,
                "to_state": ending.state,
                "expected_epoch": order["epoch"],
                "failed_kind": ending.failed_kind,
                "reason": ending.reason,
                "confirmed_ns": now_ns,
            }
        ],
    )
    if changed:
        await add_closed(connection, order, ending.state, ending.reason)


async def add_closed(
    connection: Connection, order: Mapping[str, Any], state: str, reason: str, again: str = ""
) -> None:
    """Tell readers that an order has ended and holds no money any more.

    ``again`` names a later end than the first, of which there is one booking each.
    """
    now = await one(connection, "lock_order", {"order_key": order["order_key"]})
    held = await every(connection, "lock_lot", lot_store.lot_key(order))
    await connection.execute(
        QUERIES["add_booking"],
        {
            "kind": "CLOSED",
            "order_key": order["order_key"],
            "trade_id": again,
            "size_micros": 0,
            "notional_micros": 0,
            "fee_micros": 0,
            "realised_micros": 0,
            "order_state": state,
            "reason": reason,
            "order_filled_micros": now["filled_size_micros"],
            "lot_shares_micros": held[0]["shares_micros"] if held else 0,
            "lot_cost_micros": held[0]["cost_micros"] if held else 0,
        },
    )
