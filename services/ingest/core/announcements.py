"""Remember what was published of each transaction, to publish nothing twice.

Catch-up finds again what the feed has published, each time it looks. Readers compare the totals of
both sources, so of a trade whose rows come to no more than was published, nothing is published
again. What is kept back is published with the first row that says more: a total without it would be
too low. Before: `merge`. After: the publisher.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.ingest.core.merge import Fact, Source
from services.ingest.core.transactions import RowKey, row_key

_Key = tuple[str, str]
"""An asset and a side."""


@dataclass(slots=True)
class _Trade:
    """The shares of one asset that one transaction moved to one side."""

    facts: dict[tuple[Source, RowKey], Fact] = field(default_factory=dict)
    """The newest of equal rows."""
    held_back: dict[RowKey, Fact] = field(default_factory=dict)
    """Of catch-up, not published."""
    announced: int = 0
    """Shares, 1e-6: the greatest total of a source that was published."""
    weighed: bool = False
    """True: the trade was published with the leader's worth."""

    def total(self, source: Source) -> int:
        return sum(
            fact.row.size_micros * fact.count
            for (kind, _), fact in self.facts.items()
            if kind == source
        )


class Announcements:
    """Of all transactions that the merger remembers."""

    def __init__(self) -> None:
        self._trades: dict[tuple[str, str], dict[_Key, _Trade]] = {}

    def note_feed(self, fact: Fact) -> None:
        """Note a fact that was published from the feed."""
        trade = self._note(fact)
        trade.announced = max(trade.announced, trade.total("FEED"))
        trade.weighed = trade.weighed or fact.equity is not None

    def to_announce(self, facts: Iterable[Fact]) -> list[Fact]:
        """Return those facts that catch-up has found and that are to be published, in their
        order."""
        trades: dict[int, _Trade] = {}
        for fact in facts:
            trade = self._note(fact)
            if trade.facts[fact.source, row_key(fact.row)] is fact:
                trade.held_back[row_key(fact.row)] = fact
            trades[id(trade)] = trade
        news: list[Fact] = []
        for trade in trades.values():
            weighs = any(fact.equity is not None for fact in trade.held_back.values())
            if trade.total("CATCH_UP") > trade.announced or (weighs and not trade.weighed):
                news += self._announce(trade)
        return news

    def remembered(self) -> list[Fact]:
        """Return everything that is remembered: a reader has lost what was published to him."""
        return [
            fact
            for trades in self._trades.values()
            for trade in trades.values()
            for fact in trade.facts.values()
        ]

    def forget(self, leader: str, tx: str) -> None:
        """Forget a transaction that the merger has forgotten."""
        self._trades.pop((leader, tx), None)

    def _note(self, fact: Fact) -> _Trade:
        row = fact.row
        trades = self._trades.setdefault((row.leader, row.tx), {})
        trade = trades.setdefault((row.asset_id, row.side), _Trade())
        slot = fact.source, row_key(row)
        known = trade.facts.get(slot)
        if known is None or known.count < fact.count:
            trade.facts[slot] = fact
        return trade

    @staticmethod
    def _announce(trade: _Trade) -> list[Fact]:
        announced = list(trade.held_back.values())
        trade.held_back.clear()
        trade.announced = max(trade.announced, trade.total("CATCH_UP"))
        trade.weighed = trade.weighed or any(fact.equity is not None for fact in announced)
        return announced
