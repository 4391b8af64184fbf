"""Wallets as control reads them; it writes none."""

from __future__ import annotations

from services.control.paging import Key
from services.control.store import Row, Store, queries
from tradingtools.domain.errors import NotFound

_SQL = queries("wallets/queries")


class Wallets:
    """Reads wallets.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def one(self, wallet_id: str) -> Row:
        """Return a wallet. Raises NotFound, Unavailable."""
        rows = await self._store.rows(_SQL["one"], id=wallet_id)
        if not rows:
            raise NotFound(f"no wallet {wallet_id}", kind="wallet", id=wallet_id)
        return rows[0]

    async def page(
        self,
        exchange: str,
        state: str,
        after: Key | None,
        limit: int,
        among: frozenset[str] | None = None,
    ) -> list[Row]:
        """Return wallets after a place, the oldest first.

        Args:
            exchange: of them; empty: any.
            state: of them; empty: any.
            after: the last one of the page before; None: from the first one on.
            limit: at most so many.
            among: exchanges whose wallets there are for the caller; None: all.

        Raises:
            Unavailable: the database does not answer.
        """
        at, (last,) = after or (None, [""])
        return await self._store.rows(
            _SQL["page"],
            exchange=exchange, state=state, at=at, after=last, limit=limit,
            exchanges=None if among is None else sorted(among),
        )  # fmt: skip
