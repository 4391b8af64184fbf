"""Rows from several sources become facts that only grow, with what the leader held before.

A row has no id, and two topics on two sockets report it, each perhaps more than once. So equal
rows are counted per source, a source being one connection's one topic, and sources are merged by
the maximum, never the sum: the result depends on neither order nor repetition. The Data API is
counted apart, because it may round differently; whoever reads the facts compares totals.

Memory holds recent transactions only. Forgetting one is harmless: its rows would be told again,
and a fact told twice changes nothing.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.ingest.core.holdings import Holdings
from tradingtools.adapters.polymarket.trades import Side, TradeRow

Source = Literal["FEED", "CATCH_UP"]
FeedSource = tuple[int, str]
"""A connection's number and the type of its frames."""

_RowKey = tuple[str, Side, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A transaction holds at least ``count`` rows equal to ``row``.

    ``held_before`` is what the leader held of the asset before the transaction, 1e-6 shares, None
    when that is unknown. ``found`` says that catch-up knows more of it than the feed has told.
    """

    row: TradeRow
    count: int
    source: Source
    held_before: int | None
    traceparent: str
    found: bool = False
    equity: int | None = None
    """What the leader is worth, 1e-6 USDC; None: unknown or too old."""


@dataclass(slots=True)
class _Counts:
    by_source: dict[FeedSource, int] = field(default_factory=dict)
    feed: int = 0
    caught_up: int = 0


@dataclass(slots=True)
class Transaction:
    """What one leader did in one transaction, as far as it is known."""

    traded_ms: int
    number: int
    touched_ms: int
    traceparent: str
    rows: dict[_RowKey, _Counts] = field(default_factory=dict)
    held_before: dict[str, int | None] = field(default_factory=dict)
    net: dict[str, int] = field(default_factory=dict)
    """By asset: shares that came in, less those that went out, 1e-6."""

    def recount(self, asset_id: str) -> None:
        """A count has grown: of each side, the greater total of feed and catch-up moves shares."""
        self.net[asset_id] = self._total(asset_id, "BUY") - self._total(asset_id, "SELL")

    def _total(self, asset_id: str, side: Side) -> int:
        feed = caught_up = 0
        for (asset, row_side, _, size), counts in self.rows.items():
            if asset == asset_id and row_side == side:
                feed += size * counts.feed
                caught_up += size * counts.caught_up
        return max(feed, caught_up)


class Merger:
    """All recent transactions of all leaders.

    Args:
        keep_ms: how long a transaction is remembered after its last row.
        capacity: how many transactions are remembered at most.
    """

    def __init__(self, *, keep_ms: int, capacity: int = 20_000) -> None:
        self._keep_ms = keep_ms
        self._capacity = capacity
        self._number = 0
        self._transactions: dict[str, dict[str, Transaction]] = {}
        # The order in which they were last touched, for forgetting.
        self._touched: OrderedDict[tuple[str, str], Transaction] = OrderedDict()
        self._holdings: dict[str, Holdings] = {}
        self._equity: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        """Transactions remembered."""
        return len(self._touched)

    def weigh(self, leader: str, equity: int, now_ms: int) -> None:
        """Remember what a leader is worth, 1e-6 USDC, and since when."""
        self._equity[leader] = (equity, now_ms)

    def traceparent(self, leader: str, tx: str) -> str:
        """The trace of a transaction that was seen before, else empty."""
        known = self._transactions.get(leader, {}).get(tx)
        return known.traceparent if known else ""

    def feed(
        self, row: TradeRow, source: FeedSource, now_ms: int, traceparent: str = ""
    ) -> Fact | None:
        """Count a row of the feed; the fact when it says something new."""
        transaction = self._touch(row, now_ms, traceparent)
        counts = transaction.rows.setdefault(_key(row), _Counts())
        count = counts.by_source.get(source, 0) + 1
        counts.by_source[source] = count
        if count <= counts.feed:
            return None
        counts.feed = count
        transaction.recount(row.asset_id)
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
        answer: Counter[tuple[str, str, _RowKey]] = Counter(
            (row.leader, row.tx, _key(row)) for row in ordered
        )
        grown: list[tuple[TradeRow, int, Transaction, bool]] = []
        for row in ordered:
            count = answer.pop((row.leader, row.tx, _key(row)), 0)
            if not count:
                continue  # an equal row of this answer was counted for all of them
            transaction = self._touch(row, now_ms, (traceparents or {}).get(row.tx, ""))
            counts = transaction.rows.setdefault(_key(row), _Counts())
            if count > counts.caught_up:
                counts.caught_up = count
                transaction.recount(row.asset_id)
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

    def _touch(self, row: TradeRow, now_ms: int, traceparent: str) -> Transaction:
        key = (row.leader, row.tx)
        transaction = self._touched.get(key)
        if transaction is None:
            self._number += 1
            transaction = Transaction(row.traded_ms, self._number, now_ms, traceparent)
            self._touched[key] = transaction
            self._transactions.setdefault(row.leader, {})[row.tx] = transaction
            if row.traded_ms < now_ms - self._keep_ms and row.leader in self._holdings:
                self._holdings[row.leader].settle(row.tx)
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
            transaction.held_before[row.asset_id] = self._held_before(row, transaction)
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

    def _held_before(self, row: TradeRow, transaction: Transaction) -> int | None:
        holdings = self._holdings.get(row.leader)
        if holdings is None:
            return None
        return holdings.before(row.asset_id, (row.tx, transaction), self._transactions[row.leader])

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
            if tx not in shown and transaction.traded_ms < since_ms // 1000 * 1000
        }
        self._holdings[leader] = Holdings(dict(positions), contained, older)

    def _forget_old(self, now_ms: int) -> None:
        while self._touched:
            (leader, tx), oldest = next(iter(self._touched.items()))
            young = oldest.touched_ms >= now_ms - self._keep_ms
            if young and len(self._touched) <= self._capacity:
                return
            del self._touched[leader, tx]
            of_leader = self._transactions[leader]
            del of_leader[tx]
            if not of_leader:
                del self._transactions[leader]
            holdings = self._holdings.get(leader)
            if holdings is not None:
                holdings.fold(tx, oldest)


def _key(row: TradeRow) -> _RowKey:
    return row.asset_id, row.side, row.price_text, row.size_micros
