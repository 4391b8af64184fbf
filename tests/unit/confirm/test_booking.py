"""Test whatever insiders-api tells, in whatever order: each trade is booked once and ended
once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.confirm.core.booking import Action, FillStatus, Step, after, end, steps
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade

IDS = ("t1", "t2", "t3")


def trade(trade_id: str, status: TradeStatus, size: int = 1_000_000) -> VenueTrade:
    return VenueTrade(
        trade_id=trade_id,
        size_micros=size,
        notional_micros=size // 2,
        fee_micros=0,
        status=status,
    )


def answer(*trades: VenueTrade, closed: bool = False) -> VenueOrder:
    return VenueOrder(
        order_key="k", order_id="0x1", status="MATCHED", closed=closed, trades=tuple(trades)
    )


def reported(answers: Iterable[VenueOrder]) -> tuple[dict[str, FillStatus], list[Step]]:
    """Take the steps of one answer after the other, as the worker does."""
    fills: dict[str, FillStatus] = {}
    taken: list[Step] = []
    for order in answers:
        new = steps(fills, order)
        fills = after(fills, new)
        taken += new
    return fills, taken


trades = st.builds(
    trade,
    st.sampled_from(IDS),
    st.sampled_from(TradeStatus),
    st.sampled_from([0, 1, 1_000_000]),
)
# Any trades in any answer: repeated, reordered, shrunk, doubled within one answer.
answers = st.lists(
    st.builds(
        lambda found, closed: answer(*found, closed=closed),
        st.lists(trades, max_size=5),
        st.booleans(),
    ),
    max_size=8,
)


@given(answers)
def test_each_trade_is_booked_once_and_ended_at_most_once(notified_of: list[VenueOrder]) -> None:
    _, taken = reported(notified_of)
    counts = Counter((step.trade.trade_id, step.action) for step in taken)
    assert all(count == 1 for count in counts.values())
    for trade_id in IDS:
        actions = [step.action for step in taken if step.trade.trade_id == trade_id]
        assert actions in (
            [],
            [Action.BOOK],
            [Action.BOOK, Action.FINALISE],
            [Action.BOOK, Action.UNDO],
            [Action.NOTE],
        )


@given(answers)
def test_nothing_is_ever_forgotten(notified_of: list[VenueOrder]) -> None:
    fills: dict[str, FillStatus] = {}
    for order in notified_of:
        now = after(fills, steps(fills, order))
        assert set(now) >= set(fills)
        for trade_id, status in fills.items():
            assert status is FillStatus.MATCHED or now[trade_id] is status
        fills = now


@given(answers)
def test_an_answer_that_was_taken_gives_no_further_step(notified_of: list[VenueOrder]) -> None:
    fills, _ = reported(notified_of)
    for order in notified_of:
        fills = after(fills, steps(fills, order))
        assert steps(fills, order) == []


@given(answers, st.booleans())
def test_an_order_ends_only_when_closed_and_settled(
    notified_of: list[VenueOrder], closed: bool
) -> None:
    fills, _ = reported(notified_of)
    last = notified_of[-1] if notified_of else answer()
    found = end(fills, answer(*last.trades, closed=closed))
    if not closed or FillStatus.MATCHED in fills.values():
        assert found is None
        return
    assert found is not None
    if FillStatus.CONFIRMED in fills.values():
        assert (found.state, found.failed_kind) == (OrderState.CONFIRMED, None)
    elif fills or any(t.status is TradeStatus.FAILED for t in last.trades):
        assert (found.state, found.failed_kind) == (OrderState.FAILED, FailedKind.UNDONE)
        assert found.reason is Reason.SETTLEMENT_FAILED
    else:
        assert (found.state, found.failed_kind) == (OrderState.FAILED, FailedKind.KILLED)
        assert found.reason is Reason.NOTHING_FILLED


lives: Sequence[Sequence[TradeStatus]] = [
    [TradeStatus.MATCHED, TradeStatus.MINED, TradeStatus.CONFIRMED],
    [TradeStatus.MATCHED, TradeStatus.RETRYING, TradeStatus.MINED, TradeStatus.CONFIRMED],
    [TradeStatus.MATCHED, TradeStatus.RETRYING, TradeStatus.FAILED],
    [TradeStatus.CONFIRMED],
]


@given(st.lists(st.sampled_from(lives), min_size=1, max_size=3), st.data())
def test_honest_lives_in_any_interleaving_end_the_same(
    chosen: list[Sequence[TradeStatus]], data: st.DataObject
) -> None:
    # Answers may be lost and repeated; the last one is seen.
    last = answer(*(trade(IDS[n], life[-1]) for n, life in enumerate(chosen)), closed=True)
    seen = [
        answer(
            *(
                trade(IDS[n], life[data.draw(st.integers(0, len(life) - 1))])
                for n, life in enumerate(chosen)
                if life[0] is TradeStatus.MATCHED
            )
        )
        for _ in range(data.draw(st.integers(0, 4)))
    ]
    fills, _ = reported([*seen, last, last])
    standing = {trade_id for trade_id, status in fills.items() if status is FillStatus.CONFIRMED}
    assert standing == {
        IDS[n] for n, life in enumerate(chosen) if life[-1] is TradeStatus.CONFIRMED
    }
    ended = end(fills, last)
    assert ended is not None
    assert ended.state is (OrderState.CONFIRMED if standing else OrderState.FAILED)


def test_a_trade_twice_in_one_answer_is_booked_once() -> None:
    matched, confirmed = trade("t1", TradeStatus.MATCHED), trade("t1", TradeStatus.CONFIRMED)
    taken = steps({}, answer(matched, matched, confirmed, confirmed))
    assert [step.action for step in taken] == [Action.BOOK, Action.FINALISE]


def test_trade_first_seen_failed_or_empty_is_not_booked() -> None:
    failed, empty = trade("t1", TradeStatus.FAILED), trade("t2", TradeStatus.MATCHED, 0)
    assert steps({}, answer(failed, empty)) == [Step(Action.NOTE, failed)]


def test_early_failed_settlement_is_no_want_of_a_counterpart() -> None:
    found = end({}, answer(trade("t1", TradeStatus.FAILED), closed=True))
    assert found is not None
    assert (found.failed_kind, found.reason) == (FailedKind.UNDONE, Reason.SETTLEMENT_FAILED)


def test_a_trade_that_was_undone_never_comes_back() -> None:
    fills = {"t1": FillStatus.FAILED}
    assert steps(fills, answer(trade("t1", TradeStatus.CONFIRMED))) == []
