"""Test that whatever comes as a leader trade gives an order, a reason or a typed error, and can be
stored."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.core.caps import Exposure
from services.router.core.decision_fields import decision_fields
from services.router.core.entry_plan import plan_entries
from services.router.core.exit_plan import plan_exits
from services.router.core.records import Context, LotView
from tests.unit.samples import CONDITION, LEADER, TX, book, subscription
from tradingtools.codec.leader_trades import row_from_pb
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import Side, merge
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import SizingMode
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import ingest_service_pb2 as pb
from tradingtools.venues.insiders.order_body import order_body

BIGINT = 2**63
int64 = st.integers(-BIGINT, BIGINT - 1)
text = st.text(max_size=80)


def mostly(right: object, wrong: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """The right value three times of four, so that calls get past the first check."""
    return st.sampled_from([right] * 3 + [None]).flatmap(
        lambda value: wrong if value is None else st.just(value)
    )


events = st.builds(
    pb.LeaderTradeEvent,
    leader_tx=mostly(TX, text),
    leader=mostly(LEADER, text),
    asset_id=mostly("7", text),
    condition_id=mostly(CONDITION, text),
    side=st.sampled_from([0, common.SIDE_BUY, common.SIDE_SELL]),
    price_micros=st.integers(-1, 1_000_001) | int64,
    price_text=mostly("0.5", text),
    size_micros=st.integers(0, 10**15) | int64,
    count=st.integers(-1, 5) | st.integers(-(2**31), 2**31 - 1),
    source=st.sampled_from([0, 1, 2]),
    traded_ms=mostly(1_000, int64),
    received_ns=int64,
    leader_held_before_micros=st.none() | int64,
    leader_equity_micros=st.none() | int64,
    action=st.sampled_from([0, 1, 2, 3, 4]),
    title=text,
    traceparent=mostly("", text),
)
books = st.sampled_from([None, book(), book(asks=(), bids=()), book(closed=True), book(tick=1_000)])
modes = st.sampled_from([mode for mode in SizingMode if mode is not SizingMode.TIERS])


@given(events, books, modes, st.integers(0, 10**15), st.integers(0, 10**12))
def test_any_fact_gives_an_order_a_reason_or_a_typed_error(
    event: pb.LeaderTradeEvent, market: Book | None, mode: SizingMode, sizing: int, shares: int
) -> None:
    try:
        fact = row_from_pb(event)
    except (KeyError, ValueError):
        return
    trade = merge(None, fact)
    assert trade is not None
    made = replace(subscription(), sizing_mode=mode, sizing_micros=sizing)
    context = Context(
        body_of=order_body, book=market, now_ms=1_500, entry_ttl_ms=1, exit_ttl_ms=1,
        exposure=lambda _: Exposure(equity_micros=10**9), entry_owner=lambda _: None,
    )  # fmt: skip
    if fact.key.side is Side.BUY:
        plan = plan_entries(trade, [made], {}, context)
    else:
        lot = LotView(shares_micros=shares, free_micros=shares)
        plan = plan_exits(trade, [made], {}, {made.id: lot}, context)
    copy = plan.copies[made.id]
    assert copy.copied == bool(plan.orders)
    assert copy.copied or copy.reason is not Reason.NONE
    for order in plan.orders:
        assert 0 < order.size_micros < BIGINT
        assert 0 < order.limit_micros < 1_000_000
        assert order.reserved_money_micros < BIGINT
    (stored,) = decision_fields(trade, plan.copies)
    assert "\\u0000" not in json.dumps(stored)
    assert stored["leader_size_micros"] < BIGINT


@pytest.mark.parametrize(
    "changes",
    [
        {"price_text": "0.5\x00"},
        {"traceparent": "\x00"},
        {"leader_held_before_micros": -1},
        {"count": 2**31 - 1, "size_micros": 10**15},
        {"price_micros": 1_000_001},
    ],
)
def test_what_cannot_be_stored_is_refused_at_the_door(changes: dict[str, Any]) -> None:
    right: dict[str, Any] = {
        "leader_tx": TX, "leader": LEADER, "asset_id": "7", "condition_id": CONDITION,
        "side": common.SIDE_BUY, "price_micros": 500_000, "price_text": "0.5",
        "size_micros": 10**6, "count": 1, "traded_ms": 1,
    }  # fmt: skip
    assert row_from_pb(pb.LeaderTradeEvent(**right)).size_micros == 10**6
    with pytest.raises(ValueError, match=r"out of range|NUL|less than nothing"):
        row_from_pb(pb.LeaderTradeEvent(**right | changes))
