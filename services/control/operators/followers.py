"""Followers and the decisions on their copies, over all of them: for operators.

The edge tells the same of one follower at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.control.store import Row, Store, queries

_SQL = queries("operators/followers")


class Followers:
    """Reads subscriptions and decisions of every follower.

    Args:
        store: of control.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def subscriptions(
        self, *, proxy: str, leader: str, states: Sequence[str], after: str, limit: int
    ) -> Sequence[Row]:
        """Return a page in the order of ids; an empty wallet admits all."""
        return await self._store.rows(
            _SQL["subscriptions"], proxy=proxy, leader=leader, states=list(states),
            after=after, limit=limit,
        )  # fmt: skip

    async def decisions(
        self, *, leader_tx: str, proxy: str, after: tuple[str, ...], limit: int
    ) -> Sequence[Row]:
        """Return a page of what was decided about a transaction, by subscription, outcome, side."""
        subscription, asset, side = after
        return await self._store.rows(
            _SQL["decisions"], leader_tx=leader_tx, proxy=proxy, after_subscription=subscription,
            after_asset=asset, after_side=side, limit=limit,
        )  # fmt: skip
