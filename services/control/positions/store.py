"""The lots that subscriptions hold: rows of PostgreSQL, valued by books in memory."""

from __future__ import annotations

from collections.abc import Sequence

from services.control.statistics.performance import BookOf
from services.control.statistics.valuation import Valuation, worth
from services.control.store import Row, Store, queries

_SQL = queries("positions/queries")


class Holdings:
    """The lots in a store.

    Args:
        store: of the rows.
        book: the newest book of an asset.
    """

    def __init__(self, store: Store, book: BookOf) -> None:
        self._store = store
        self._book = book

    def worth(self, lot: Row) -> Valuation | None:
        """Return a lot's worth; None when it holds nothing or has no fresh book."""
        shares = lot["shares_micros"]
        return worth(self._book(lot["asset_id"]), shares) if shares else None

    async def positions(
        self, identifier: str, condition_id: str, after: tuple[str, str], limit: int, *, open_: bool
    ) -> Sequence[Row]:
        """Lots of a subscription by (market, outcome), after such a key.

        Args:
            identifier: of the subscription.
            condition_id: only of this market; empty: of all.
            after: ``("", "")`` for the first page.
            limit: at most so many.
            open_: only what holds shares.
        """
        return await self._store.found(
            _SQL["positions"],
            id=identifier,
            condition_id=condition_id,
            open=open_,
            after_condition=after[0],
            after_asset=after[1],
            limit=limit,
        )
