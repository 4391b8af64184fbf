"""The merge in its plain form: for each fact it goes through all that is remembered."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.ingest.core.merge import Fact, Source
from tradingtools.domain.money import MAX_MICROS
from tradingtools.venues.ports import Side, TradeRow

_RowKey = tuple[str, Side, str, int]


class _Holdings:
    def __init__(
        self, baseline: dict[str, int], contained: Mapping[str, dict[str, int]], settled: set[str]
    ) -> None:
        self._baseline = baseline
        self._contained = contained
        self.settled = settled

    def before(
        self, asset_id: str, of: tuple[str, _Transaction], known: Mapping[str, _Transaction]
    ) -> int | None:
        tx, transaction = of
        at = (transaction.traded_ms, transaction.number)
        contained = self._contained.get(asset_id, {})
        held = self._baseline.get(asset_id, 0)
        for other_tx, other in known.items():
            net = other.net.get(asset_id)
            if net is None:
                continue
            if other_tx != tx and (other.traded_ms, other.number) < at:
                held += net
            held -= net if other_tx in self.settled else contained.get(other_tx, 0)
        return max(held, 0) if held <= MAX_MICROS else None

    def fold(self, tx: str, transaction: _Transaction) -> None:
        for asset_id, net in transaction.net.items():
            part = self._contained.get(asset_id, {}).pop(tx, 0)
            moved = 0 if tx in self.settled else net - part
            self._baseline[asset_id] = max(self._baseline.get(asset_id, 0) + moved, 0)
        self.settled.discard(tx)


@dataclass(slots=True)
class _Counts:
    by_source: dict[tuple[int, str], int] = field(default_factory=dict)
    feed: int = 0
    caught_up: int = 0


@dataclass(slots=True)
class _Transaction:
    traded_ms: int
    number: int
    touched_ms: int
    traceparent: str
    rows: dict[_RowKey, _Counts] = field(default_factory=dict)
    held_before: dict[str, int | None] = field(default_factory=dict)
    net: dict[str, int] = field(default_factory=dict)

    def recount(self, asset_id: str) -> None:
        self.net[asset_id] = self._total(asset_id, "BUY") - self._total(asset_id, "SELL")

    def _total(self, asset_id: str, side: Side) -> int:
        feed = caught_up = 0
        for (asset, row_side, _, size), counts in self.rows.items():
            if asset == asset_id and row_side == side:
                feed += size * counts.feed
                caught_up += size * counts.caught_up
        return max(feed, caught_up)


class Plain:
    """`Merger` in its plainest form."""

    def __init__(self, *, keep_ms: int, capacity: int) -> None:
        self._keep_ms = keep_ms
        self._capacity = capacity
        self._number = 0
        self._transactions: dict[str, dict[str, _Transaction]] = {}
        self._touched: OrderedDict[tuple[str, str], _Transaction] = OrderedDict()
        self._holdings: dict[str, _Holdings] = {}
        self._equity: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._touched)

    def weigh(self, leader: str, equity: int, now_ms: int) -> None:
        self._equity[leader] = (equity, now_ms)

    def feed(self, row: TradeRow, source: tuple[int, str], now_ms: int) -> Fact | None:
        transaction = self._touch(row, now_ms, "")
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
        rows: Sequence[TradeRow],
        now_ms: int,
        *,
        leader: str,
        positions: Mapping[str, int] | None,
        since_ms: int,
    ) -> list[Fact]:
        ordered = list(rows)[::-1]
        answer: Counter[tuple[str, str, _RowKey]] = Counter(
            (row.leader, row.tx, _key(row)) for row in ordered
        )
        grown: list[tuple[TradeRow, int, _Transaction, bool]] = []
        for row in ordered:
            count = answer.pop((row.leader, row.tx, _key(row)), 0)
            if not count:
                continue
            transaction = self._touch(row, now_ms, "")
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
            if row.action != "SPLIT"
        ]
        self._forget_old(now_ms)
        return facts

    def drop_leader(self, leader: str) -> None:
        self._holdings.pop(leader, None)
        self._equity.pop(leader, None)
        for tx in self._transactions.pop(leader, {}):
            del self._touched[leader, tx]

    def _touch(self, row: TradeRow, now_ms: int, traceparent: str) -> _Transaction:
        key = (row.leader, row.tx)
        transaction = self._touched.get(key)
        if transaction is None:
            self._number += 1
            transaction = _Transaction(row.traded_ms, self._number, now_ms, traceparent)
            self._touched[key] = transaction
            self._transactions.setdefault(row.leader, {})[row.tx] = transaction
            if row.traded_ms < now_ms - self._keep_ms and row.leader in self._holdings:
                self._holdings[row.leader].settled.add(row.tx)
        transaction.touched_ms = now_ms
        self._touched.move_to_end(key)
        return transaction

    def _fact(
        self,
        row: TradeRow,
        count: int,
        source: Source,
        transaction: _Transaction,
        found: bool = False,
    ) -> Fact:
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

    def _held_before(self, row: TradeRow, transaction: _Transaction) -> int | None:
        return self.before(row.leader, row.asset_id, row.tx)

    def before(self, leader: str, asset_id: str, tx: str) -> int | None:
        """Return what a leader held before a transaction that is remembered."""
        holdings = self._holdings.get(leader)
        known = self._transactions[leader]
        return None if holdings is None else holdings.before(asset_id, (tx, known[tx]), known)

    @property
    def remembered(self) -> list[tuple[str, str]]:
        """Leaders and transactions."""
        return list(self._touched)

    def _baseline(
        self, leader: str, positions: Mapping[str, int], rows: Sequence[TradeRow], since_ms: int
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
        self._holdings[leader] = _Holdings(dict(positions), contained, older)

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
