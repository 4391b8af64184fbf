"""Request resyncs: by a request of its own and by the start of a subscription."""

from __future__ import annotations

import secrets

from services.control.store import Change, Row, queries
from tradingtools.domain.resync import ResyncKind

_SQL = queries("resyncs/queries")


async def insert_request(change: Change, subscription: Row, kind: ResyncKind) -> str:
    """Ask for a resync in a change that records it; returns its id."""
    identifier = f"rsy_{secrets.token_hex(16)}"
    await change.rows(
        _SQL["insert"],
        id=identifier,
        subscription_id=subscription["id"],
        proxy=subscription["follower_proxy"],
        kind=kind.value,
    )
    return identifier
