"""Queue facts behind live trades: each leader's in order, leaders by turns.

A leader with twenty thousand of them holds up nobody else's, and what waits already is not put
again: two readers that have lost the same get it once. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from services.ingest.core.merge import Fact, Source
from services.ingest.core.transactions import RowKey, row_key

_Rows = dict[tuple[Source, RowKey], Fact]
"""Of one transaction: of equal rows the fact with the greatest count."""


class BackfillQueue:
    """The queue of leaders that wait for a backfill."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, dict[str, _Rows]] = OrderedDict()
        """Transactions by leader."""

    def __contains__(self, leader: str) -> bool:
        """Return whether facts of a leader wait."""
        return leader in self._waiting

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, facts: Iterable[Fact]) -> None:
        """Have facts wait, each behind those of its leader, or with those of its transaction."""
        for fact in facts:
            row = fact.row
            rows = self._waiting.setdefault(row.leader, {}).setdefault(row.tx, {})
            slot = fact.source, row_key(row)
            known = rows.get(slot)
            if known is None or known.count < fact.count:
                rows[slot] = fact

    def drop(self, leader: str) -> None:
        """Forget a leader that nobody follows any more."""
        self._waiting.pop(leader, None)

    def take(self, most: int) -> list[Fact]:
        """Return the next ones, about as many; those of one transaction together, as it is one
        copy."""
        taken: list[Fact] = []
        while self._waiting and len(taken) < most:
            leader, transactions = self._waiting.popitem(last=False)
            taken += transactions.pop(next(iter(transactions))).values()
            if transactions:
                self._waiting[leader] = transactions
        return taken
