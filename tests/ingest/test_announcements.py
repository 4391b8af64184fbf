"""Test that what catch-up finds again is not told again, and nobody knows less for it."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.announcements import Announcements
from services.ingest.core.backfill_queue import BackfillQueue
from services.ingest.core.merge import Fact, Merger
from services.ingest.publisher import to_event
from tests.ingest.rows import LEADER, row
from tradingtools.codec.leader_trades import row_from_pb
from tradingtools.domain.leader_trade import LeaderTrade, TradeKey, merge
from tradingtools.venues.ports import TradeRow

NOW = 1_000_000_500
OTHER = "0x" + "b2" * 20
KINDS = [
    row(1), row(1, size=4), row(1, side="SELL"), row(1, price_text="0.51"), row(1, asset_id="8"),
    row(2),
]  # fmt: skip


class Teller:
    """Merger and telling, as ingest has them."""

    def __init__(self, capacity: int = 20_000) -> None:
        self.telling = Announcements()
        self.merger = Merger(keep_ms=600_000, capacity=capacity, forgotten=self.telling.forget)

    def feed(self, one: TradeRow) -> list[Fact]:
        fact = self.merger.feed(one, (1, "trades"), NOW)
        if fact is None:
            return []
        self.telling.note_feed(fact)
        return [fact]

    def catch_up(self, rows: Iterable[TradeRow]) -> list[Fact]:
        facts = self.merger.catch_up(rows, NOW, leader=LEADER)
        news = self.telling.to_announce(facts)
        for fact in facts:
            if (LEADER, fact.row.tx) not in self.merger:
                self.telling.forget(LEADER, fact.row.tx)
        return news


class Reader:
    """A reader's trades."""

    def __init__(self) -> None:
        self.trades: dict[TradeKey, LeaderTrade] = {}

    def take(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            reported = row_from_pb(to_event(fact, 1))
            merged = merge(self.trades.get(reported.key), reported)
            if merged is not None:
                self.trades[reported.key] = merged

    @property
    def known(self) -> dict[TradeKey, tuple[int, int | None]]:
        """The size of each trade, and what its leader is worth."""
        return {
            key: (trade.size_micros, trade.leader_equity_micros)
            for key, trade in self.trades.items()
        }


def test_what_the_feed_has_told_is_not_told_again() -> None:
    teller = Teller()
    rows = [row(number) for number in range(1_200)]
    for one in rows:
        assert len(teller.feed(one)) == 1
    assert teller.catch_up(rows) == []
    assert [fact.row.tx[-1] for fact in teller.catch_up([row(9), row(9), *rows])] == ["9"]


def test_kept_back_row_is_published_with_a_later_one() -> None:
    teller, reader = Teller(), Reader()
    reader.take(teller.feed(row(1, size=10)))
    assert teller.catch_up([row(1, size=10)]) == []
    reader.take(teller.catch_up([row(1, size=5), row(1, size=10)]))
    assert [size for size, _ in reader.known.values()] == [15_000_000]


def test_what_a_leader_is_worth_is_told_once_it_is_known() -> None:
    teller, reader = Teller(), Reader()
    reader.take(teller.feed(row(1)))
    teller.merger.weigh(LEADER, 7, NOW)
    reader.take(teller.catch_up([row(1), row(1, size=4)]))
    assert [equity for _, equity in reader.known.values()] == [7]


@given(
    st.lists(
        st.tuples(st.sampled_from(["feed", "catch up", "worth"]), st.lists(st.sampled_from(KINDS))),
        max_size=10,
    ),
    st.sampled_from([1, 20_000]),
)
def test_a_reader_knows_as_much_as_if_everything_were_told(
    steps: list[tuple[str, list[TradeRow]]], capacity: int
) -> None:
    teller, some, everything = Teller(capacity), Reader(), Reader()
    plain = Merger(keep_ms=600_000, capacity=capacity)
    answered: list[TradeRow] = []
    for number, (kind, rows) in enumerate(steps):
        if kind == "worth":
            for merger in (plain, teller.merger):
                merger.weigh(LEADER, number + 1, NOW)
        for one in rows if kind == "feed" else ():
            some.take(teller.feed(one))
            reported = plain.feed(one, (1, "trades"), NOW)
            everything.take([reported] if reported else [])
        if kind == "catch up":
            answered += rows
            # Where a trade was forgotten, the venue's answer has all rows of it that it ever had.
            answer = answered if capacity == 1 else rows
            some.take(teller.catch_up(answer))
            everything.take(plain.catch_up(answer, NOW, leader=LEADER))
        found = {key: size for key, (size, _) in some.known.items()}
        assert found == {key: size for key, (size, _) in everything.known.items()}
        if capacity == 1:
            continue  # Of a forgotten trade nobody knows whether its leader's worth was told.
        worth = {key for key, (_, equity) in some.known.items() if equity is not None}
        assert worth == {key for key, (_, e) in everything.known.items() if e is not None}
    # Whoever has lost it all is told it again, from memory.
    if capacity > 1:
        anew = Reader()
        anew.take(teller.telling.remembered())
        assert {key: size for key, (size, _) in anew.known.items()} == {
            key: size for key, (size, _) in everything.known.items()
        }


def test_leaders_take_turns_and_a_transaction_stays_together() -> None:
    teller, line = Teller(), BackfillQueue()
    many = [fact for number in range(50) for fact in teller.feed(row(number))]
    pair = [fact for size in (1, 2) for fact in teller.feed(row(99, leader=OTHER, size=size))]
    line.put(many)
    line.put(pair)
    taken = line.take(3)
    assert [(fact.row.leader, fact.row.tx[-2:]) for fact in taken] == [
        (LEADER, "00"), (OTHER, "63"), (OTHER, "63"),
    ]  # fmt: skip
    assert LEADER in line
    assert OTHER not in line
    assert line.take(100) == many[1:]
    assert not line


def test_what_waits_already_waits_once() -> None:
    teller, line = Teller(), BackfillQueue()
    for one in (row(1), row(1), row(2)):
        teller.feed(one)
    # Two readers have lost the same.
    line.put(teller.telling.remembered())
    line.put(teller.telling.remembered())
    # And a third one, when more is known of one: of two counts the greater is told.
    teller.feed(row(2))
    line.put(teller.telling.remembered())
    assert [(fact.row.tx[-1], fact.count) for fact in line.take(100)] == [("1", 2), ("2", 2)]
    line.put(teller.telling.remembered())
    assert len(line.take(100)) == 2, "what was told is told again"


def test_a_lesser_count_takes_no_greater_ones_place() -> None:
    line = BackfillQueue()
    [one], [two] = (Merger(keep_ms=1).catch_up(rows, NOW) for rows in ([row(1)], [row(1)] * 2))
    line.put([two])
    line.put([one])
    assert [fact.count for fact in line.take(100)] == [2]
