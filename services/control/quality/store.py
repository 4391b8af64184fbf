"""What was booked over time, in PostgreSQL."""

from __future__ import annotations

from services.control.quality.series import HOUR_S
from services.control.store import Row, Store, queries
from services.control.subscriptions.store import not_found

_SQL = queries("quality/queries")


class Quality:
    """How well leaders were copied.

    Args:
        store: of the ledger.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def series(self, identifier: str, from_s: int, to_s: int) -> Row:
        """Return a subscription's hours, lots and marks, of one instant.

        Args:
            identifier: the subscription's.
            from_s: marks of hours that end after it.
            to_s: and up to it, seconds since the epoch.

        Raises:
            NotFound: there is no such subscription.
        """
        rows = await self._store.rows(
            _SQL["series"], id=identifier, from_s=from_s - HOUR_S, to_s=to_s
        )
        if not rows:
            raise not_found(identifier)
        return rows[0]
