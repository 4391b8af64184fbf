"""A subscription's row, locked: by its own changes and by those of perfmon's actions."""

from __future__ import annotations

from services.control.store import Change, Row, queries
from tradingtools.domain.errors import NotFound

KIND = "subscription"
_SQL = queries("subscriptions/queries")


def not_found(identifier: str) -> NotFound:
    """Return the error for a subscription that is not there."""
    return NotFound(f"no subscription {identifier}", kind=KIND, id=identifier)


async def locked(change: Change, identifier: str) -> Row:
    """Return a subscription's row, held until the change ends; raises NotFound."""
    row = await change.row(_SQL["lock"], id=identifier)
    if row is None:
        raise not_found(identifier)
    return row
