"""Merge rows of several sources into facts whose counts only grow.

A row has no id, and two topics on two sockets report it, each perhaps more than once. So equal
rows are counted per source, a source being one connection's one topic, and sources are merged by
the maximum, never the sum: the result depends on neither order nor repetition. The Data API is
counted apart, because it may round differently; whoever reads the facts compares totals.

Memory holds recent transactions only. Forgetting one is harmless: its rows would be published
again, and a fact published twice changes nothing.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from services.ingest.core.holdings import Holdings
from services.ingest.core.transactions import FeedSource, RowKey, Transaction, row_key
from tradingtools.venues.ports import TradeRow

Source = Literal["FEED", "CATCH_UP"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A transaction holds at least ``count`` rows equal to ``row``.

    ``held_before`` is what the leader held of the asset before the transaction, 1e-6 shares, None
    when that is unknown. ``found`` says that catch-up knows more of it than the feed has published.
    """

    row: TradeRow
    count: int
    source: Source
    held_before: int | None
    traceparent: str
    found: bool = False
    equity: int | None = None
    """What the leader is worth, 1e-6 USDC; None: unknown or too old."""


class Merger:
    """All recent transactions of all leaders.

    Args:
        keep_ms: how long a transaction is remembered after its last row.
        capacity: how many transactions are remembered at most.
        forgotten: called with the leader and the hash of one that is remembered no more.
    """

    def __init__(
        self,
        *,
        keep_ms: int,
        capacity: int = 20_000,
        forgotten: Callable[[str, str], None] | None = None,
    ) -> None:
        self._keep_ms = keep_ms
        self._forgotten = forgotten or (lambda *_: None)
        self._capacity = capacity
        self._number = 0
        self._transactions: dict[str, dict[str, Transaction]] = {}
        # The order in which they were last touched, for forgetting.
        self._touched: OrderedDict[tuple[str, str], Transaction] = OrderedDict()
        self._holdings: dict[str, Holdings] = {}
        self._equity: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        """Return the number of transactions remembered."""
        return len(self._touched)

    def __contains__(self, transaction: tuple[str, str]) -> bool:
        """Return whether a leader's transaction is remembered, by its hash."""
        return transaction in self._touched

    def weigh(self, leader: str, equity: int, now_ms: int) -> None:
        """Remember what a leader is worth, 1e-6 USDC, and since when."""
        self._equity[leader] = (equity, now_ms)

    def traceparent(self, leader: str, tx: str) -> str:
        """Return the trace of a transaction that was seen before, else empty."""
        known = self._transactions.get(leader, {}).get(tx)
        return known.traceparent if known else ""

    def feed(
        self, row: TradeRow, source: FeedSource, now_ms: int, traceparent: str = ""
    ) -> Fact | None:
        """Count a row of the feed; the fact when it says something new."""
        transaction = self._touch(row, now_ms, traceparent)
        counts = transaction.counts(row_key(row))
        count = counts.by_source.get(source, 0) + 1
        counts.by_source[source] = count
        if count <= counts.feed:
            return None
        net = transaction.take(row, counts, count, caught_up=False)
        self._holdings[row.leader].moved(row.asset_id, transaction.at, net)
        fact = self._fact(row, count, "FEED", transaction)
        self._forget_old(now_ms)
        return fact

    def catch_up(
        self,
        rows: Iterable[TradeRow],
        now_ms: int,
        *,
        leader: str = "",
        positions: Mapping[str, int] | None = None,
        since_ms: int = 0,
        traceparents: Mapping[str, str] | None = None,
    ) -> list[Fact]:
        """Count the rows of one answer of the Data API; the facts that say something new.

        Args:
            rows: newest first, as answered; an answer counts as a whole, so equal rows of it add
                up and rows of two answers do not.
            now_ms: the present.
            leader: whose positions these are.
            positions: what the leader held when exactly ``rows`` were known, 1e-6 shares; None:
                they are not known to belong together.
            since_ms: where the answer begins; everything older is in the positions.
            traceparents: for transactions that are new, by hash.
        """
        ordered = list(rows)[::-1]
        answer: Counter[tuple[str, str, RowKey]] = Counter(
            (row.leader, row.tx, row_key(row)) for row in ordered
        )
        grown: list[tuple[TradeRow, int, Transaction, bool]] = []
        for row in ordered:
            count = answer.pop((row.leader, row.tx, row_key(row)), 0)
            if not count:
                continue  # an equal row of this answer was counted for all of them
            transaction = self._touch(row, now_ms, (traceparents or {}).get(row.tx, ""))
            counts = transaction.counts(row_key(row))
            if count > counts.caught_up:
                net = transaction.take(row, counts, count, caught_up=True)
                self._holdings[row.leader].moved(row.asset_id, transaction.at, net)
                grown.append((row, count, transaction, count > counts.feed))
        if positions is not None:
            self._baseline(leader, positions, ordered, since_ms)
        facts = [
            self._fact(row, count, "CATCH_UP", transaction, found)
            for row, count, transaction, found in grown
            # A split only moves what he holds: nobody copies it, and it is no trade.
            if row.action != "SPLIT"
        ]
        self._forget_old(now_ms)
        return facts

    def drop_leader(self, leader: str) -> None:
        """Forget a leader whom nobody follows any more."""
        self._holdings.pop(leader, None)
        self._equity.pop(leader, None)
        for tx in self._transactions.pop(leader, {}):
            del self._touched[leader, tx]
            self._forgotten(leader, tx)

    def _touch(self, row: TradeRow, now_ms: int, traceparent: str) -> Transaction:
        key = (row.leader, row.tx)
        transaction = self._touched.get(key)
        if transaction is None:
            self._number += 1
            at = (row.traded_ms, self._number, row.tx)
            transaction = Transaction(at, now_ms, traceparent)
            self._touched[key] = transaction
            self._transactions.setdefault(row.leader, {})[row.tx] = transaction
            holdings = self._holdings.setdefault(row.leader, Holdings())
            if row.traded_ms < now_ms - self._keep_ms and holdings.known:
                holdings.settle(row.tx)
        transaction.touched_ms = now_ms
        self._touched.move_to_end(key)
        return transaction

    def _fact(
        self,
        row: TradeRow,
        count: int,
        source: Source,
        transaction: Transaction,
        found: bool = False,
    ) -> Fact:
        # All rows of a transaction carry the value of its first fact, even if that was unknown:
        # the first part of a copy froze it.
        if row.asset_id not in transaction.held_before:
            held_before = self._holdings[row.leader].before(row.asset_id, transaction.at)
            transaction.held_before[row.asset_id] = held_before
        return Fact(
            row=row,
            count=count,
            source=source,
            held_before=transaction.held_before[row.asset_id],
            traceparent=transaction.traceparent,
            found=found,
            equity=self._worth(row.leader, transaction.touched_ms),
        )

    def _worth(self, leader: str, now_ms: int) -> int | None:
        equity, at_ms = self._equity.get(leader, (0, 0))
        return equity if at_ms and now_ms - at_ms <= self._keep_ms else None

    def _baseline(
        self, leader: str, positions: Mapping[str, int], rows: Iterable[TradeRow], since_ms: int
    ) -> None:
        known = self._transactions.get(leader, {})
        shown = {row.tx for row in rows}
        contained: dict[str, Counter[str]] = {}
        for row in rows:
            moved = row.size_micros if row.side == "BUY" else -row.size_micros
            contained.setdefault(row.asset_id, Counter())[row.tx] += moved
        older = {
            tx
            for tx, transaction in known.items()
            if tx not in shown and transaction.at[0] < since_ms // 1000 * 1000
        }
        holdings = self._holdings.setdefault(leader, Holdings())
        holdings.rest_on(dict(positions), contained, older)

    def _forget_old(self, now_ms: int) -> None:
        while self._touched:
            (leader, tx), oldest = next(iter(self._touched.items()))
            young = oldest.touched_ms >= now_ms - self._keep_ms
            if young and len(self._touched) <= self._capacity:
                return
            del self._touched[leader, tx]
            self._forgotten(leader, tx)
            holdings = self._holdings[leader]
            holdings.fold(oldest.at, oldest.assets)
            of_leader = self._transactions[leader]
            del of_leader[tx]
            if not of_leader:
                del self._transactions[leader]
                if not holdings.known:
                    del self._holdings[leader]
