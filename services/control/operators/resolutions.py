"""Operators end orders that nobody else can end: recorded here with its audit, done by confirm.

confirm is the only one that books, so this writes what was decided and waits for it to be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.control.auth.operator import Operator
from services.control.store import RETRY_AFTER_MS, Row, Store, queries
from tradingtools.domain.errors import Conflict, NotFound, Unavailable, WrongState
from tradingtools.domain.order_states import OrderState, operator_ends

KIND = "order"
_SQL = queries("operators/queries")
_LOOKS = 50
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The end of an order as an operator has found it. Amounts in micros."""

    order_key: str
    to_state: OrderState
    evidence: str
    operator: str
    filled: tuple[int, int, int] | None
    """Size, notional and fee that stand in all; None: what is booked."""


class Resolutions:
    """Lists orders by state, and ends those that wait for a person.

    Args:
        store: of control.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def orders(
        self, states: Sequence[OrderState], wallet: str, after: str, limit: int
    ) -> list[Row]:
        """A page of orders in these states, by key; an empty wallet means all."""
        return await self._store.rows(
            _SQL["list_orders"], states=list(states), wallet=wallet, after=after, limit=limit
        )

    async def resolve(self, by: Operator, decision: Decision) -> tuple[OrderState, int]:
        """Record a decision and wait until confirm has carried it out; may be repeated.

        Returns:
            The state, and the number of the audit entry.

        Raises:
            NotFound: no such order.
            WrongState: the order does not wait for a person, or confirm refused, with its reason.
            Conflict: another decision is being carried out.
            Unavailable: recorded, and confirm has not carried it out yet.
        """
        await self._record(by, decision)
        for _ in range(_LOOKS):
            (row,) = await self._store.rows(_SQL["resolved_order"], key=decision.order_key)
            if row["done_at"] is not None:
                if row["refused"]:
                    raise _wrong_state(row, row["refused"])
                return OrderState(row["state"]), row["control_seq"]
            await asyncio.sleep(_PAUSE_SECONDS)
        raise Unavailable(
            "recorded; confirm has not carried it out yet",
            dependency="confirm", retry_after_ms=RETRY_AFTER_MS,
        )  # fmt: skip

    async def _record(self, by: Operator, decision: Decision) -> None:
        async with self._store.change(by.caller, by.source) as change:
            row = await change.row(_SQL["resolved_order"], key=decision.order_key)
            if row is None:
                raise NotFound(f"no order {decision.order_key}", kind=KIND, id=decision.order_key)
            if row["id"] is not None and (row["done_at"] is None or _stands(row)):
                if _same(row, decision):
                    return
                if row["done_at"] is None:
                    raise Conflict(
                        "another decision about it is being carried out",
                        kind=KIND, id=decision.order_key,
                    )  # fmt: skip
            if decision.to_state not in operator_ends(OrderState(row["state"])):
                raise _wrong_state(row, f"no operator can make it {decision.to_state}")
            size, notional, fee = decision.filled or (None, None, None)
            columns = {
                "to_state": decision.to_state, "evidence": decision.evidence,
                "operator": decision.operator, "filled_size_micros": size,
                "filled_notional_micros": notional, "fee_micros": fee,
            }  # fmt: skip
            was = ("state", "epoch", "filled_size_micros", "filled_notional_micros", "fee_micros")
            seq = await change.record(
                "resolve", KIND, decision.order_key,
                before={name: row[name] for name in was}, after=columns,
            )  # fmt: skip
            await change.rows(
                _SQL["add_resolution"],
                key=decision.order_key, from_state=row["state"], epoch=row["epoch"],
                to_state=decision.to_state, size=size, notional=notional, fee=fee,
                evidence=decision.evidence, operator=decision.operator, control_seq=seq,
            )  # fmt: skip


def _stands(row: Row) -> bool:
    """Return whether the last decision was carried out and nothing has happened to the order
    since."""
    return not row["refused"] and row["state"] == row["to_state"]


def _same(row: Row, decision: Decision) -> bool:
    amounts = (row["told_size"], row["told_notional"], row["told_fee"])
    return (row["to_state"], row["evidence"], row["operator"], amounts) == (
        decision.to_state, decision.evidence, decision.operator,
        decision.filled or (None, None, None),
    )  # fmt: skip


def _wrong_state(row: Row, why: str) -> WrongState:
    return WrongState(
        f"order {row['order_key']} is {row['state']}: {why}",
        kind=KIND, id=row["order_key"], state=row["state"],
    )  # fmt: skip
