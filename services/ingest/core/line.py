"""Facts that wait behind live trades: each leader's in their order, one leader's after another's.

A leader with twenty thousand of them holds up nobody else's. Pure.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from services.ingest.core.merge import Fact


class Line:
    """Who waits."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Fact]] = OrderedDict()

    def __contains__(self, leader: str) -> bool:
        """Return whether facts of a leader wait."""
        return leader in self._waiting

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, facts: Iterable[Fact]) -> None:
        """Have facts wait, each behind those of its leader."""
        for fact in facts:
            self._waiting.setdefault(fact.row.leader, deque()).append(fact)

    def drop(self, leader: str) -> None:
        """Nobody follows him any more."""
        self._waiting.pop(leader, None)

    def take(self, most: int) -> list[Fact]:
        """The next ones, about as many; those of one transaction together, as it is one copy."""
        taken: list[Fact] = []
        while self._waiting and len(taken) < most:
            leader, facts = self._waiting.popitem(last=False)
            first = facts[0].row.tx
            while facts and facts[0].row.tx == first:
                taken.append(facts.popleft())
            if facts:
                self._waiting[leader] = facts
        return taken
