"""One order and its history, as both halves of control show them."""

from __future__ import annotations

from collections.abc import Sequence

from services.control.paging import Key
from services.control.store import Row, Store, queries
from tradingtools.domain.errors import NotFound

_SQL = queries("orders/queries")
_NEWEST = {
    of: "\n".join(_SQL[part] for part in ("listed", f"newest_of_{of}", "newest_first"))
    for of in ("all", "subscription", "wallet")
}


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

    async def newest(
        self,
        wallet: str,
        subscription: str,
        states: Sequence[str],
        after: Key | None,
        limit: int,
    ) -> Sequence[Row]:
        """Return orders, newest first, after a key (instant, order).

        Args:
            wallet: whose; empty: of all.
            subscription: of which; empty: of all.
            states: of which one has to stand at one; none: at any.
            after: the key; None: from the newest on.
            limit: how many at most.
        """
        at, (key,) = after or (None, [""])
        named = {"subscription": subscription} if subscription else {}
        if wallet or subscription:
            named["wallet"] = wallet
        of = "subscription" if subscription else "wallet" if wallet else "all"
        return await self._store.rows(
            _NEWEST[of], **named, states=[*states], after_at=at, after_key=key, limit=limit
        )

    async def history(self, key: str) -> tuple[Row, Sequence[Row]]:
        """Return an order and its transitions, oldest first; raises NotFound."""
        return await self.get(key), await self._store.rows(_SQL["order_events"], key=key)
