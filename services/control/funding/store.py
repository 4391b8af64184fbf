"""A wallet's budget in PostgreSQL: what was put in less what was taken out, each movement once.

Before it: the product's backend. After it: routers, which size entries within what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.control.auth.tokens import Caller
from services.control.parsing import refuse
from services.control.store import Store, queries
from tradingtools.domain.errors import RequestIdReused

_SQL = queries("funding/queries")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """USDC 1e-6 put into (less than zero: taken out of) what a wallet's copies may spend."""

    operation_id: str
    follower_proxy: str
    amount_micros: int
    reason: str


class Fundings:
    """The budgets in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def fund(self, caller: Caller, movement: Transfer) -> tuple[int, int]:
        """Move a budget once; returns the sum after it and the audit's number.

        Raises:
            InvalidField: more would be taken out than was put in.
            RequestIdReused: the operation id came with another movement.
        """
        proxy, amount = movement.follower_proxy, movement.amount_micros
        async with self._store.change(caller, "grpc") as change:
            known = await change.row(_SQL["operation"], operation_id=movement.operation_id)
            if known is not None:
                if (known["follower_proxy"], known["amount_micros"]) != (proxy, amount):
                    raise RequestIdReused(
                        "operation_id: was used for another movement", field="operationId"
                    )
                return known["funded_micros"], known["control_seq"]
            row = await change.row(_SQL["lock"], proxy=proxy)
            before = 0 if row is None else int(row["funded_micros"])
            funded = before + amount
            if funded < 0:
                raise refuse("amount_micros", f"at least {-before}: no more was put in")
            seq = await change.record(
                "fund",
                "funding",
                proxy,
                before=None if row is None else {"funded_micros": before},
                after={
                    "funded_micros": funded,
                    "operation_id": movement.operation_id,
                    "reason": movement.reason,
                },
            )
            await change.rows(_SQL["put"], proxy=proxy, funded=funded, seq=seq)
            await change.rows(
                _SQL["note"],
                operation_id=movement.operation_id,
                proxy=proxy,
                amount=amount,
                reason=movement.reason,
                funded=funded,
                seq=seq,
            )
        return funded, seq
