"""Limits that judge worth, account and market: each is seen to act, by the action of the table."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bots.core import risk
from services.bots.core.holding import Holding
from services.bots.core.orders import BotOrder
from services.bots.core.risk import LimitError, RiskLimit, RiskLimits, limits_of
from services.bots.core.risk.limits import check_currency
from tests.unit.bots.samples import AMENDS, book, outcome, swap
from tests.unit.bots.simulated import Run
from tests.unit.bots.test_bot import quoted, started
from tests.unit.bots.test_risk import ONE, asks, exposure, order
from tradingtools.domain.book import BookStatus
from tradingtools.domain.bot_states import BotState
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import (
    AccountPosition,
    AccountState,
    Balance,
    CancelOrder,
    Funding,
    NewOrder,
)

WORTH = ONE.notional(640_000, 1, up=True)
"""Of a size of one."""
MONEY = 10**ONE.money_digits


@given(
    held=st.integers(-50, 50),
    requested=st.lists(
        st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 60)), max_size=10
    ),
)
def test_no_course_passes_the_exposure(held: int, requested: list[tuple[Side, int]]) -> None:
    limits = RiskLimits(max_exposure=100 * WORTH)
    standing: list[BotOrder] = []
    for side, size in requested:
        if asks(limits, exposure(held, *standing), side, size) is None:
            standing.append(order(side, size))

    buys = sum(one.reserved for one in standing if one.order.side == "BUY")
    sells = sum(one.reserved for one in standing if one.order.side == "SELL")
    assert held + buys <= 100
    assert sells - held <= 100


def test_a_hedge_is_no_exposure() -> None:
    other = replace(swap(), id="okx:ETH-USDT-SWAP")
    seen = exposure(100)
    seen = replace(
        seen,
        holdings={**seen.holdings, other.id: Holding(size=-100, cost=100 * WORTH)},
        instruments={ONE.id: ONE, other.id: other},
        marks={**seen.marks, other.id: seen.marks[ONE.id]},
    )
    tight = RiskLimits(max_exposure=10 * WORTH)

    assert asks(tight, seen, "BUY", 10) is None
    assert asks(tight, seen, "BUY", 11) is RiskLimit.MAX_EXPOSURE
    assert asks(tight, exposure(100), "BUY", 1) is RiskLimit.MAX_EXPOSURE


def test_leverage_counts_all_contracts_and_needs_the_account() -> None:
    limits = RiskLimits(max_leverage=3 * risk.limits.PARTS)
    money = {"USDT": Decimal(10 * WORTH).scaleb(-ONE.money_digits)}
    seen = exposure(0, order("BUY", 20), order("SELL", 5), money=money)

    assert asks(limits, seen, "BUY", 5) is None
    assert asks(limits, seen, "BUY", 6) is RiskLimit.MAX_LEVERAGE
    assert asks(limits, replace(seen, money=None), "BUY", 1) is RiskLimit.MAX_LEVERAGE
    assert asks(limits, replace(seen, money={"BTC": Decimal(9)}), "BUY", 1) is not None
    assert asks(limits, exposure(20, money=None), "SELL", 15) is None


def closed(limits: RiskLimits, seen: Any, **more: Any) -> dict[tuple[str, Side], Any]:
    given_ = {"fundings": {}, "doubted": [], "now_ms": 1_000, **more}
    return {key: one.limit for key, one in risk.closed(limits, seen, **given_).items()}


@pytest.mark.parametrize(
    ("rate", "side"), [("0.0006", "BUY"), ("-0.0006", "SELL"), ("0.0005", None)]
)
def test_the_side_that_pays_too_much_funding_is_closed(rate: str, side: Side | None) -> None:
    reported = Funding(instrument_id=ONE.id, rate=Decimal(rate), at_ms=0, interval_ms=28_800_000)

    found = closed(RiskLimits(max_funding_rate=500), exposure(), fundings={ONE.id: reported})

    assert found == ({} if side is None else {(ONE.id, side): RiskLimit.MAX_FUNDING_RATE})


def test_a_loss_in_one_market_closes_both_outcomes_of_it_alone() -> None:
    yes, no, other = outcome("yes"), outcome("no"), replace(outcome("o"), group="0xother")
    seen = exposure(
        holdings={yes.id: Holding(realised=-30), no.id: Holding(realised=-20)},
        instruments={one.id: one for one in (yes, no, other)},
    )

    found = closed(RiskLimits(max_market_loss=50), seen)

    assert set(found) == {(one.id, side) for one in (yes, no) for side in ("BUY", "SELL")}
    assert closed(RiskLimits(max_market_loss=51), seen) == {}


def position(size: int, mark: str, liquidation: str | None) -> AccountPosition:
    return AccountPosition(
        instrument_id=ONE.id,
        size=size,
        entry_price=None,
        mark_price=Decimal(mark),
        liquidation_price=None if liquidation is None else Decimal(liquidation),
    )


@pytest.mark.parametrize(
    ("size", "liquidation", "near"),
    [
        (1, "90", False),
        (1, "90.1", True),
        (-1, "110", False),
        (-1, "109.9", True),
        (1, None, False),
    ],
)
def test_too_near_to_liquidation(size: int, liquidation: str | None, near: bool) -> None:
    found = risk.near_liquidation(
        RiskLimits(min_liquidation_buffer=100_000), [position(size, "100", liquidation)]
    )

    assert (found is not None) == near
    assert risk.near_liquidation(RiskLimits(), [position(1, "100", "99")]) is None


def account(*positions: AccountPosition) -> AccountState:
    usdt = Balance(currency="USDT", total=Decimal(1_000), available=Decimal(1_000))
    return AccountState(balances=(usdt,), positions=positions, venue_ms=0)


FRESH = book(ONE, [(640_000, 900)], [(640_001, 900)])


@pytest.mark.parametrize("life", [BotState.RUNNING, BotState.PAUSED, BotState.STOPPED])
def test_a_bot_near_liquidation_cancels_and_flattens(life: BotState) -> None:
    run = Run(1, AMENDS)
    limits = RiskLimits(min_liquidation_buffer=100_000)
    held = {ONE.id: Holding(size=5, cost=5 * WORTH)}
    bot = started(run, limits=limits, holdings=held)
    bot.market(FRESH, run.now)
    bot.life = life

    bot.account(account(position(5, "64000", "63000")), run.now)
    run.act(bot.tick(run.now))

    assert bot.life is BotState.RISK_STOPPED
    assert [one.limit for one in bot.breaches] == [RiskLimit.MIN_LIQUIDATION_BUFFER]
    sent = [one for one in run.venue.flying if isinstance(one, NewOrder)]
    assert [(one.side, one.size, one.reduce_only) for one in sent] == [("SELL", 5, True)]


def test_a_reached_limit_cancels_what_opens_and_leaves_what_reduces() -> None:
    run = Run(1, AMENDS)
    held = {ONE.id: Holding(size=10, cost=10 * WORTH)}
    sell = replace(quoted(10, 641_000), slot="b", side="SELL")
    limits = RiskLimits(max_funding_rate=500)
    bot = started(run, quoted(10), sell, limits=limits, holdings=held)
    run.act(bot.market(FRESH, run.now))
    while run.venue.flying:
        run.venue.arrive(run.now)
    for order_id in list(bot.orders):
        run.act(bot.reported(run.venue.report(order_id), run.now))
    assert len(bot.orders) == 2

    pays = Funding(instrument_id=ONE.id, rate=Decimal("0.001"), at_ms=0, interval_ms=28_800_000)
    requested = bot.market(pays, run.now)

    (cancel,) = requested
    assert isinstance(cancel, CancelOrder)
    assert bot.orders[cancel.order_id].order.side == "BUY"
    assert "max_funding_rate" in bot.refusals["a"]


def test_a_book_in_doubt_closes_its_instrument_once_its_mark_is_old() -> None:
    run = Run(1, AMENDS)
    bot = started(run, quoted(10), limits=RiskLimits())
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    run.act(bot.reported(run.venue.report("bot1e1n1"), run.now))

    doubt = replace_book(BookStatus.STALE)
    assert bot.market(doubt, run.now) == []
    requested = bot.market(doubt, run.now + 5_001)

    assert [type(one) for one in requested] == [CancelOrder]


def replace_book(status: BookStatus) -> Any:
    return book(ONE, [(640_000, 900)], [(640_001, 900)], status=status)


def test_limits_are_read_in_their_units() -> None:
    texts = {
        "max_position": "1.5", "max_exposure": "2.5", "max_leverage": "3",
        "min_liquidation_buffer": "0.1000001", "max_funding_rate": "0.0005",
        "max_open_orders": "7",
    }  # fmt: skip

    found = limits_of(texts, ONE)

    assert found == RiskLimits(
        max_position=150, max_exposure=25 * MONEY // 10, max_leverage=3_000_000,
        min_liquidation_buffer=100_001, max_funding_rate=500, max_open_orders=7,
    )  # fmt: skip
    for wrong in ({"max_fun": "1"}, {"max_position": "x"}, {"max_position": "-1"}):
        with pytest.raises(LimitError, match=next(iter(wrong))):
            limits_of(wrong, ONE)


def test_each_limit_has_its_row_and_each_number_its_limit() -> None:
    names = {one.name for one in fields(RiskLimits)} - {"mark_age_ms"}

    others = {"stale_marks", "order_after_its_end", "position_missing", "kill_switch"}
    others |= {"closed_by_exchange"}
    assert names | others == {str(one) for one in RiskLimit}


def test_nothing_opens_on_a_closed_side_and_exits_go() -> None:
    why = risk.breach(RiskLimit.MAX_FUNDING_RATE, "test")
    seen = exposure(10, closed={(ONE.id, "BUY"): why})

    assert asks(RiskLimits(), seen, "BUY", 1) is RiskLimit.MAX_FUNDING_RATE
    assert asks(RiskLimits(), seen, "SELL", 20) is None
    short = exposure(-10, closed={(ONE.id, "BUY"): why})
    assert asks(RiskLimits(), short, "BUY", 10) is None


def test_amounts_of_two_currencies_are_never_added_up() -> None:
    one, other = swap(), swap(inverse=True)
    for name in ("max_notional", "max_exposure", "max_order_notional", "max_daily_loss"):
        limits = limits_of({name: "10", "max_position": "5"}, one)
        check_currency(limits, [one, one])
        with pytest.raises(LimitError, match=f"limits.{name}: .* BTC, USDT"):
            check_currency(limits, [one, other])
    check_currency(limits_of({"max_position": "5", "max_leverage": "2"}, one), [one, other])
