"""The audit for operators: what was changed, and whether all of it still fits together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from services.control.operators.verification import Progress, verify
from services.control.store import Row, Store, queries

_SQL = queries("operators/audit")


class Audit:
    """Reads the audit.

    Args:
        store: of control.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def entries(
        self, *, actor: str, kind: str, subject: str, before_seq: int, limit: int
    ) -> Sequence[Row]:
        """A page of changes, newest first; an empty filter admits all."""
        return await self._store.rows(
            _SQL["list"], actor=actor, kind=kind, subject=subject, before_seq=before_seq,
            limit=limit,
        )  # fmt: skip

    def verify(self) -> AsyncIterator[Progress]:
        """Verify everything; holds a connection only while a page is read."""
        return verify(self._store.rows)
