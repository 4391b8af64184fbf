"""Test who is decided next in a backlog: exits, then the newest; and nobody is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router import app
from services.router.core.backlog import MAX_BATCH, TradeSummary, next_batch
from services.router.settings import Settings
from tradingtools import clock
from tradingtools.settings import load
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import ingest_service_pb2 as ingest_pb

_messages = st.lists(
    st.lists(st.builds(TradeSummary, st.sampled_from("1234"), st.booleans()), max_size=3),
    min_size=1,
    max_size=20,
)


def _settings(**more: str) -> Settings:
    targets = {"TT_ROUTER_INGEST_TARGET": "a:1", "TT_ROUTER_BOOKFEED_TARGET": "a:1"}
    return load(Settings, "router", {**targets, "TT_ROUTER_CONFIRM_TARGET": "a:1", **more})


def _message(
    asset: str, seconds_ago: float, side: pb.Side.ValueType = pb.SIDE_BUY
) -> ingest_pb.StreamLeaderTradesResponse:
    received_ns = clock.now_ns() - int(seconds_ago * 1e9)
    trade = ingest_pb.LeaderTradeEvent(asset_id=asset, side=side, received_ns=received_ns)
    return ingest_pb.StreamLeaderTradesResponse(trades=[trade])


def test_the_newest_buys_go_first() -> None:
    waiting = [[TradeSummary(str(number), sold=False)] for number in range(MAX_BATCH + 10)]
    assert next_batch(waiting) == list(range(MAX_BATCH + 9, 9, -1))


def test_an_exit_goes_before_newer_buys_and_after_what_it_sells() -> None:
    buy, other, sell, again = (
        TradeSummary("1", sold=False),
        TradeSummary("2", sold=False),
        TradeSummary("1", sold=True),
        TradeSummary("1", sold=False),
    )
    assert next_batch([[other], [buy], [other], [sell], [again]]) == [1, 3]


@given(_messages)
def test_sells_find_earlier_buys_and_all_get_their_turn(
    messages: list[list[TradeSummary]],
) -> None:
    waiting, decided = list(enumerate(messages)), []
    while waiting:
        chosen = next_batch([trades for _, trades in waiting])
        assert chosen
        assert len(set(chosen)) == len(chosen)
        exits_wait = any(trade.sold for _, trades in waiting for trade in trades)
        decided += [waiting[index] for index in chosen]
        waiting = [one for index, one in enumerate(waiting) if index not in chosen]
        if exits_wait:
            assert not any(trade.sold for _, trades in waiting for trade in trades)
    place = {number: index for index, (number, _) in enumerate(decided)}
    assert len(place) == len(messages)
    for number, trades in enumerate(messages):
        for sale in (trade for trade in trades if trade.sold):
            before = [
                n for n in range(number) if any(t.asset_id == sale.asset_id for t in messages[n])
            ]
            assert all(place[n] < place[number] for n in before)


def test_without_a_backlog_they_go_as_they_came_together() -> None:
    fresh = [_message("1", 1.0), _message("2", 0.5), _message("3", 0.1, pb.SIDE_SELL)]
    assert list(app._next(_settings(), fresh)) == [0, 1, 2]


@pytest.mark.parametrize(("order", "expected"), [("newest", [2, 1, 0]), ("oldest", [0, 1, 2])])
def test_a_setting_says_which_buys_go_first_in_a_backlog(order: str, expected: list[int]) -> None:
    settings = _settings(TT_ROUTER_BACKLOG_ORDER=order)
    waiting = [_message("1", 3.0), _message("2", 0.5), _message("3", 0.1)]
    assert list(app._next(settings, waiting)) == expected
