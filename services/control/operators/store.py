"""Halts, circuit breakers and order histories in PostgreSQL, for operators."""

from __future__ import annotations

from collections.abc import Sequence

from services.control.auth.operator import Operator
from services.control.operators.followers import Followers
from services.control.orders.store import Orders
from services.control.store import Row, Store, queries
from tradingtools.domain.errors import NotFound

KIND = "halt"

_SQL = queries("operators/queries")


class Operators:
    """Reads and writes of operators in PostgreSQL."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.orders = Orders(store)
        """With their histories."""
        self.followers = Followers(store)

    async def set_halt(
        self, by: Operator, scope: str, subject: str, mode: str, reason: str
    ) -> tuple[Row, list[str]]:
        """Set or change a halt; returns it and the keys of orders that were under way.

        Repeating it changes nothing, and lists again what is under way.
        """
        async with self._store.change(by.caller, by.source, halts=True) as change:
            before = await change.row(_SQL["lock_halt"], scope=scope, subject=subject)
            if before is None or (before["mode"], before["reason"]) != (mode, reason):
                await change.rows(
                    _SQL["put_halt"], scope=scope, subject=subject, mode=mode, reason=reason
                )
            halt = await change.row(_SQL["lock_halt"], scope=scope, subject=subject)
            assert halt is not None  # noqa: S101 - written or found just above, and locked
            if before is None or before["audit"] != halt["audit"]:
                await change.record(
                    "halt",
                    KIND,
                    f"{scope}:{subject}",
                    before=None if before is None else before["audit"],
                    after=halt["audit"],
                )
            flying = await change.rows(_SQL["in_flight"], scope=scope, subject=subject)
        return halt, [row["order_key"] for row in flying]

    async def clear_halt(self, by: Operator, scope: str, subject: str) -> None:
        """Lift a halt; lifting none changes nothing."""
        async with self._store.change(by.caller, by.source) as change:
            before = await change.row(_SQL["lock_halt"], scope=scope, subject=subject)
            if before is None:
                return
            await change.rows(_SQL["delete_halt"], scope=scope, subject=subject)
            await change.record(
                "unhalt", KIND, f"{scope}:{subject}", before=before["audit"], after=None
            )

    async def halts(self) -> Sequence[Row]:
        """Return what is halted now."""
        return await self._store.rows(_SQL["halts"])

    async def breakers(self) -> Sequence[Row]:
        """Every circuit breaker."""
        return await self._store.rows(_SQL["breakers"])

    async def reset_breaker(self, by: Operator, dependency: str) -> Row:
        """Close a breaker; a closed one stays as it is. Raises NotFound."""
        async with self._store.change(by.caller, by.source) as change:
            before = await change.row(_SQL["lock_breaker"], dependency=dependency)
            if before is None:
                raise NotFound(f"no breaker {dependency}", kind="breaker", id=dependency)
            if before["state"] == "CLOSED":
                return before
            await change.rows(_SQL["reset_breaker"], dependency=dependency)
            after = await change.row(_SQL["lock_breaker"], dependency=dependency)
            assert after is not None  # noqa: S101 - written just above, and locked
            await change.record(
                "reset", "breaker", dependency, before=before["audit"], after=after["audit"]
            )
        return after
