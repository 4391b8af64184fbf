"""Test what brings a lot to what the leader's position implies, and when a preview holds no
more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.router.core.caps import Exposure
from services.router.core.records import Awaited, LotView
from services.router.core.resync import Outcome, objection, plan
from tests.unit.samples import CONDITION, book, subscription
from tradingtools.domain.book import BookStatus
from tradingtools.domain.copy_settings import BelowMinimum, CopySettings, ExitMode
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.reasons import Reason
from tradingtools.domain.resync import Line, line_from_json, line_json
from tradingtools.domain.subscription import SizingMode, Subscription, SubscriptionState

ID = "rsy_" + "1" * 32
SHARE = 1_000_000
OPEN = Awaited(order_key="k", filled_micros=0)
NOTHING = LotView(shares_micros=0, free_micros=0)


def outcome(leader: int | None, held: int = 0, cost: int | None = None, **changes: Any) -> Outcome:
    """A leader's and a follower's shares of an outcome at 0.5."""
    values: dict[str, Any] = {
        "condition_id": CONDITION,
        "asset_id": "7",
        "leader_micros": None if leader is None else leader * SHARE,
        "lot": LotView(shares_micros=held * SHARE, free_micros=held * SHARE),
        "cost_micros": held * SHARE // 2 if cost is None else cost * SHARE,
        "book": book(),
        "held": Exposure(),
    }
    return Outcome(**values | changes)


def ratio(part: int = 100_000, **changes: Any) -> Subscription:
    """A tenth of what the leader does, without slippage, so that sizes are easily read."""
    return replace(
        subscription(), sizing_mode=SizingMode.RATIO, sizing_micros=part, max_slippage_micros=0,
        **changes,
    )  # fmt: skip


def one(of: Outcome, by: Subscription | None = None, equity: int | None = None) -> Line:
    (line,) = plan(ID, by or ratio(), [of], leader_equity_micros=equity, now_ms=0)
    return line


def test_a_missing_part_is_bought_at_the_ask_of_now() -> None:
    line = one(outcome(leader=1000, held=40))
    assert (line.side, line.size_micros, line.limit_micros) == (Side.BUY, 60 * SHARE, 500_000)
    assert (line.money_micros, line.reason) == (30 * SHARE, Reason.NONE)
    assert (line.leader_micros, line.held_micros) == (1000 * SHARE, 40 * SHARE)


def test_what_is_in_line_stays() -> None:
    assert (one(outcome(1000, held=100)).side, one(outcome(1000, held=100)).reason) == (
        None,
        Reason.IN_LINE,
    )
    # Less than the smallest order more: nothing that could be sold alone.
    assert one(outcome(1000, held=104)).side is None
    fixed = replace(subscription(), sizing_mode=SizingMode.FIXED)
    assert one(outcome(1000, held=20), fixed).reason is Reason.IN_LINE
    # A fall of the price does not make an amount of money incomplete.
    assert one(outcome(1000, held=10, cost=10), fixed).reason is Reason.IN_LINE
    assert one(outcome(1000, held=10, cost=2), fixed).side is Side.BUY


def test_surplus_is_sold_by_ratio_and_all_when_the_leader_left() -> None:
    line = one(outcome(leader=400, held=100))
    assert (line.side, line.size_micros, line.limit_micros) == (Side.SELL, 60 * SHARE, 470_000)
    fixed = subscription()
    assert one(outcome(leader=1, held=100), fixed).side is None
    for by in (ratio(), fixed):
        line = one(outcome(leader=0, held=100), by)
        assert (line.side, line.size_micros, line.money_micros) == (Side.SELL, 100 * SHARE, 0)


@pytest.mark.parametrize(
    ("of", "by", "reason"),
    [
        (outcome(None, held=10), ratio(), Reason.HOLDING_UNKNOWN),
        (outcome(0), ratio(), Reason.NOTHING_HELD),
        (outcome(0, held=9, leaving=True), ratio(), Reason.ALREADY_SELLING),
        (outcome(1000, book=None), ratio(), Reason.MARKET_UNKNOWN),
        (outcome(1000, book=book(closed=True)), ratio(), Reason.MARKET_CLOSED),
        (outcome(1000, book=book(payout=1)), ratio(), Reason.MARKET_CLOSED),
        (outcome(1000, book=book(status=BookStatus.STALE)), ratio(), Reason.BOOK_STALE),
        (outcome(1000, book=book(asks=())), ratio(), Reason.THIN_BOOK),
        (outcome(0, held=9, book=book(bids=())), ratio(), Reason.THIN_BOOK),
        (outcome(1000), ratio(state=SubscriptionState.PAUSED), Reason.PAUSED),
        (outcome(1000), ratio(settings=CopySettings(shadow=True)), Reason.SHADOW),
        (outcome(1000), ratio(settings=CopySettings(max_price_micros=1)), Reason.PRICE_BAND),
        (outcome(0, held=9), ratio(settings=CopySettings(exit_mode=ExitMode.NONE)),
         Reason.EXITS_OFF),
        (outcome(1000), replace(subscription(), sizing_mode=SizingMode.PROPORTIONAL),
         Reason.EQUITY_UNKNOWN),
        (outcome(9), ratio(settings=CopySettings(below_minimum=BelowMinimum.ROUND_UP)),
         Reason.BELOW_MINIMUM),
        (outcome(9), ratio(settings=CopySettings(below_minimum=BelowMinimum.ACCUMULATE)),
         Reason.BELOW_MINIMUM),
        (outcome(9, lot=replace(NOTHING, unresolved=(OPEN,))),
         ratio(), Reason.WAITING_FOR_ENTRY),
        (outcome(0, lot=LotView(shares_micros=9, free_micros=8)), ratio(), Reason.ALREADY_SELLING),
        (outcome(1000, lot=replace(NOTHING, unsettled_micros=1)), ratio(), Reason.ALREADY_SELLING),
    ],
)  # fmt: skip
def test_what_is_not_done_has_its_reason(of: Outcome, by: Subscription, reason: Reason) -> None:
    line = one(of, by)
    assert (line.side, line.reason, line.order_key) == (None, reason, "")


def test_a_paused_subscription_still_leaves() -> None:
    assert one(outcome(0, held=9), ratio(state=SubscriptionState.PAUSED)).side is Side.SELL


def test_lines_share_what_is_free_and_sells_come_first() -> None:
    by = ratio(settings=CopySettings(max_total_micros=60 * SHARE, max_positions=2))
    outcomes = [
        outcome(1000),
        outcome(1000, asset_id="8", condition_id="0x" + "d" * 64),
        outcome(1000, asset_id="9", condition_id="0x" + "e" * 64),
        outcome(0, held=9, asset_id="5"),
    ]
    lines = plan(ID, by, outcomes, leader_equity_micros=None, now_ms=0)
    shown = [(line.asset_id, line.money_micros // SHARE, line.reason) for line in lines]
    assert shown == [
        ("5", 0, Reason.NONE),
        ("7", 50, Reason.NONE),
        ("8", 10, Reason.CAP_TOTAL),
        ("9", 0, Reason.MAX_POSITIONS),
    ]
    assert objection(by, 1, lines, outcomes) == ""
    tighter = [replace(o, held=structs.replace(o.held, total_micros=1)) for o in outcomes]
    assert "outcome 8: CAP_TOTAL" in objection(by, 1, lines, tighter)
    fuller = [replace(o, held=structs.replace(o.held, positions=1)) for o in outcomes]
    assert "outcome 8: MAX_POSITIONS" in objection(by, 1, lines, fuller)


def test_a_preview_holds_until_what_it_was_made_of_changes() -> None:
    by, of = ratio(), outcome(1000, held=40)
    lines = plan(ID, by, [of], leader_equity_micros=None, now_ms=0)
    assert objection(by, 1, lines, [of]) == ""
    assert objection(by, 1, lines, [replace(of, book=book(asks=((900_000, 1),)))]) == ""
    changed: list[tuple[Subscription, Outcome]] = [
        (replace(by, version=2), of),
        (replace(by, state=SubscriptionState.DELETED), of),
        (replace(by, state=SubscriptionState.PAUSED), of),
        (by, replace(of, leader_micros=None)),
        (by, replace(of, leader_micros=1)),
        (by, replace(of, lot=LotView(shares_micros=SHARE, free_micros=SHARE))),
        (by, replace(of, lot=replace(of.lot, free_micros=1))),
        (by, replace(of, lot=replace(of.lot, unsettled_micros=1))),
        (by, replace(of, lot=replace(of.lot, unresolved=(OPEN,)))),
        (by, replace(of, book=book(closed=True))),
        (by, replace(of, book=None)),
        (by, replace(of, held=Exposure(cash_micros=29 * SHARE))),
        (by, replace(of, held=Exposure(budget_micros=0))),
    ]
    for who, what in changed:
        assert objection(who, 1, lines, [what]), (who, what)


def test_resync_keys_and_lines_survive_the_database() -> None:
    of = outcome(1000)
    first, again = (plan(ID, ratio(), [of], leader_equity_micros=1, now_ms=0) for _ in range(2))
    other = plan("rsy_" + "2" * 32, ratio(), [of], leader_equity_micros=1, now_ms=0)
    assert first == again
    assert first[0].order_key != other[0].order_key
    for line in (*first, one(outcome(None)), one(outcome(0, held=9))):
        assert line_from_json(line_json(line)) == line


@given(
    leader=st.one_of(st.none(), st.integers(0, 10**6)),
    held=st.integers(0, 10**4),
    cost=st.integers(0, 10**4),
    mode=st.sampled_from(SizingMode),
    cash=st.one_of(st.none(), st.integers(-10, 10**9)),
    cap=st.one_of(st.none(), st.integers(0, 10**9)),
)
def test_never_more_than_the_limits_and_never_more_than_is_held(
    leader: int | None, held: int, cost: int, mode: SizingMode, cash: int | None, cap: int | None
) -> None:
    by = replace(subscription(), sizing_mode=mode, max_per_trade_micros=cap)
    exposure = Exposure(cash_micros=cash, equity_micros=10**9)
    of = replace(outcome(leader, held, cost), held=exposure)
    line = one(of, by, equity=10**12)
    if line.side is Side.SELL:
        assert line.size_micros <= of.lot.free_micros
    elif line.side is Side.BUY:
        assert leader
        assert line.money_micros <= min(x for x in (cash, cap, 2**63) if x is not None)
    else:
        assert line.reason
    assert objection(by, 1, [line], [of]) == ""
