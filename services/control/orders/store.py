"""One order and its history, as both halves of control show them."""

from __future__ import annotations

from collections.abc import Sequence

from services.control.store import Row, Store, queries
from tradingtools.domain.errors import NotFound

_SQL = queries("orders/queries")


class Orders:
    """The orders in a store.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, key: str) -> Row:
        """Return an order; raises NotFound."""
        rows = await self._store.rows(_SQL["order"], key=key)
        if not rows:
            raise NotFound(f"no order {key}", kind="order", id=key)
        return rows[0]

    async def history(self, key: str) -> tuple[Row, Sequence[Row]]:
        """Return an order and its transitions, oldest first; raises NotFound."""
        return await self.get(key), await self._store.rows(_SQL["order_events"], key=key)
