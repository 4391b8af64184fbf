"""Test that what is looked up in sums is what going through all that is remembered comes to."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.core.merge import Merger
from tests.ingest.plain import Plain
from tests.ingest.rows import LEADER, row
from tradingtools.domain.money import MAX_MICROS
from tradingtools.venues.ports import TradeRow

NOW = 1_000_000_500
LEADERS = (LEADER, "0x" + "b2" * 20)
ASSETS = ("7", "8")
KEEP_MS = 5_000


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The feed brings a row."""

    row: TradeRow
    socket: int
    late_ms: int


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The Data API answers."""

    leader: str
    rows: list[TradeRow]
    positions: dict[str, int] | None
    since_ms: int


@dataclass(frozen=True)
class Left:
    """A leader is followed no more."""

    leader: str


trades = st.builds(
    lambda number, **changes: row(number, traded_ms=NOW - 1_000 * (number % 9), **changes),
    st.integers(0, 14),
    side=st.sampled_from(("BUY", "SELL")),
    asset_id=st.sampled_from(ASSETS),
    size=st.integers(1, 3),
    leader=st.sampled_from(LEADERS),
    action=st.sampled_from(("TRADE", "TRADE", "TRADE", "SPLIT")),
)
amounts = st.one_of(st.integers(0, 20_000_000), st.integers(MAX_MICROS - 5_000_000, MAX_MICROS))
frames = st.builds(
    Frame, row=trades, socket=st.integers(1, 2), late_ms=st.sampled_from((0, 0, 1_000, 9_000))
)
answers = st.builds(
    Answered,
    leader=st.sampled_from(LEADERS),
    rows=st.lists(trades, max_size=12),
    positions=st.none() | st.dictionaries(st.sampled_from(ASSETS), amounts),
    since_ms=st.integers(NOW - 9_000, NOW),
)
steps = st.lists(
    st.one_of(frames, frames, answers, st.builds(Left, st.sampled_from(LEADERS))), max_size=25
)


@settings(max_examples=400, deadline=None)
@given(steps, st.sampled_from((3, 8, 1_000)))
def test_every_fact_is_what_going_through_everything_comes_to(
    steps: list[Frame | Answered | Left], capacity: int
) -> None:
    merger = Merger(keep_ms=KEEP_MS, capacity=capacity)
    plain = Plain(keep_ms=KEEP_MS, capacity=capacity)
    now_ms = NOW
    for step in steps:
        match step:
            case Frame():
                now_ms += step.late_ms
                source = (step.socket, "trades")
                fact = merger.feed(step.row, source, now_ms)
                assert fact == plain.feed(step.row, source, now_ms)
            case Answered():
                rows = [one for one in step.rows if one.leader == step.leader]
                rows.sort(key=lambda one: -one.traded_ms)
                reported = merger.catch_up(
                    rows, now_ms, leader=step.leader, positions=step.positions,
                    since_ms=step.since_ms,
                )  # fmt: skip
                assert reported == plain.catch_up(
                    rows, now_ms, leader=step.leader, positions=step.positions,
                    since_ms=step.since_ms,
                )  # fmt: skip
            case Left():
                merger.drop_leader(step.leader)
                plain.drop_leader(step.leader)
        assert len(merger) == len(plain)
        for leader, tx in plain.remembered:
            at = merger._touched[leader, tx].at
            for asset in (*ASSETS, "9"):
                held = merger._holdings[leader].before(asset, at)
                assert held == plain.before(leader, asset, tx)


def test_cost_of_an_answer_is_linear_in_its_rows() -> None:
    """It was a hundred times as much, and minutes for the longest answers there are."""
    assert _looked_at(2_000) < 15 * _looked_at(200)


def _looked_at(rows: int) -> int:
    """Return how often a transaction is compared while an answer of one asset is taken."""
    compared = 0

    class Time(int):
        def __lt__(self, other: int) -> bool:
            nonlocal compared
            compared += 1
            return int(self) < other

        def __gt__(self, other: int) -> bool:
            nonlocal compared
            compared += 1
            return int(self) > other

    answer = [row(number, traded_ms=Time(NOW - number)) for number in range(rows)]
    Merger(keep_ms=KEEP_MS).catch_up(answer, NOW, leader=LEADER, positions={"7": 10**12})
    return compared
