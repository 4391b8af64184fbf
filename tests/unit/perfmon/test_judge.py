"""Results, windows and rules: what acts, what does not, and what deposits change (nothing)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import structs

from services.perfmon.core import judge, standing
from services.perfmon.core.judge import Case, Pending, Point, Step, bounds, seen, sure
from services.perfmon.core.position import Figures, OutcomePosition, Patience, Valuation, same
from services.perfmon.core.results import Account, worth
from services.perfmon.core.standing import Facts, WindowState, begin, follow, index_at, result_at
from tests.unit.samples import book
from tradingtools.domain.book import BookStatus
from tradingtools.domain.performance import (
    Limit,
    LossAction,
    LossStop,
    OnLoss,
    Performance,
    ProfitScale,
    Scope,
    Window,
    action_id,
    from_json,
    to_json,
)
from tradingtools.domain.performance_states import PerformanceState, next_state

USDC = 1_000_000
FACTS = Facts(
    result_micros=0, scope=Scope.SUBSCRIPTION, baseline=1, session=1, day="2026-11-24",
    equity_micros=100 * USDC, funded_micros=100 * USDC,
)  # fmt: skip
SCALE = ProfitScale(
    step_micros=10 * USDC, factor_micros=2 * USDC, min_micros=USDC // 4, max_micros=3 * USDC
)


def facts(result: float, **changes: Any) -> Facts:
    return structs.replace(FACTS, result_micros=round(result * USDC), **changes)


def case(at: WindowState, rules: Performance, **changes: Any) -> Case:
    made = Case(
        rules=rules, standing=at, session=1, day="2026-11-24", scale_micros=USDC,
        anchor_micros=0, in_cooldown=False,
    )  # fmt: skip
    return structs.replace(made, **changes)


def stop(**limits: Any) -> Performance:
    return Performance(loss_stop=LossStop(action=LossAction.PAUSE, **limits))


def amount(usdc: float) -> Limit:
    return Limit(amount_micros=round(usdc * USDC))


def fraction(of: float) -> Limit:
    return Limit(fraction_micros=int(of * USDC))


def judged(of: Case, low: float, high: float | None = None) -> judge.RuleAction | None:
    bottom, top = round(low * USDC), round((low if high is None else high) * USDC)
    return judge.judge(of, bounds(of), bottom, top)


# Results.


def test_shares_are_worth_what_their_bids_pay() -> None:
    found = worth(book(bids=((500_000, 3 * USDC), (400_000, 10 * USDC))), 5 * USDC)
    assert (found.low_micros, found.high_micros, found.trusted) == (2_300_000, 2_300_000, True)


def test_what_finds_no_bid_is_worth_the_lowest_bid_at_most() -> None:
    found = worth(book(bids=((500_000, 3 * USDC),)), 5 * USDC)
    assert (found.low_micros, found.high_micros, found.trusted) == (1_500_000, 2_500_000, True)


@pytest.mark.parametrize("status", [BookStatus.STALE, BookStatus.CROSSED, BookStatus.UNSEEN])
def test_a_doubtful_book_says_only_what_is_certain(status: BookStatus) -> None:
    found = worth(book(bids=((10_000, 9 * USDC),), status=status), 5 * USDC)
    assert (found.low_micros, found.high_micros, found.trusted) == (0, 5 * USDC, False)
    assert worth(None, 5 * USDC) == found


def test_a_payout_is_trusted_whatever_the_book_says() -> None:
    found = worth(book(bids=(), status=BookStatus.STALE, payout=USDC), 5 * USDC)
    assert (found.low_micros, found.high_micros, found.trusted) == (5 * USDC, 5 * USDC, True)


@pytest.mark.parametrize(("ask", "most"), [(20_000, 100_000), (None, 5 * USDC)])
def test_what_nobody_bids_for_is_worth_the_best_ask_at_most(ask: int | None, most: int) -> None:
    asks = () if ask is None else ((ask, USDC), (990_000, USDC))
    status = BookStatus.FRESH if asks else BookStatus.EMPTY
    found = worth(book(bids=(), asks=asks, status=status), 5 * USDC)
    assert (found.low_micros, found.high_micros, found.trusted) == (0, most, False)


# Doubts. A share of `a` has cost 0.50.

DOUBT_MS = 10_000
PATIENCE = Patience(500, DOUBT_MS)


class Books:
    """The price that shares find, and an account of five that have cost 2.50."""

    def __init__(self) -> None:
        self.now: Valuation | None = None
        self.account = Account(PATIENCE, lambda _, shares: self.of(shares))
        self.account.put(-USDC, {"a": OutcomePosition(5 * USDC, 2_500_000)}, 0)

    def of(self, shares: int) -> Valuation:
        return self.now or Valuation(0, shares, False)

    def mark(self, price: float | None, now_ms: int) -> None:
        """A book that is trusted; None: one that is not."""
        worth = None if price is None else round(price * 5 * USDC)
        self.now = None if worth is None else Valuation(worth, worth, True)
        self.account.mark("a", self.of(5 * USDC), now_ms)

    def seen(self, now_ms: int) -> tuple[int, int, int]:
        """What is known, at least and at most, and how many are in a passing doubt."""
        self.account.age(now_ms)
        return self.account.known_micros, self.account.high_micros, self.account.doubtful


def test_passing_doubt_is_no_loss_and_a_lasting_one_hides_none() -> None:
    books = Books()
    books.mark(0.8, 0)
    books.mark(None, 20_000)
    assert books.seen(20_000 + DOUBT_MS - 1) == (-USDC, 4 * USDC, 1)
    assert books.seen(20_000 + DOUBT_MS) == (3 * USDC, 3 * USDC, 0)
    assert books.account.stood() == {"a": 800_000}
    books.mark(0.3, 40_000)
    assert books.seen(40_000) == (500_000, 500_000, 0)
    assert books.account.stood() == {}


def test_what_nobody_has_ever_seen_stands_at_its_cost() -> None:
    assert Books().seen(DOUBT_MS) == (1_500_000, 1_500_000, 0)


def test_what_another_life_has_seen_stands_as_it_was() -> None:
    books = Books()
    books.account.restore({"a": 900_000})
    books.account.put(-USDC, {}, 1)
    books.account.put(-USDC, {"a": OutcomePosition(5 * USDC, 2_500_000)}, 2)
    assert books.seen(DOUBT_MS + 2) == (3_500_000, 3_500_000, 0)


def test_one_bad_mark_before_a_doubt_is_not_what_it_was_worth() -> None:
    books = Books()
    books.mark(0.8, 0)
    books.mark(0.01, 20_000)
    books.mark(None, 20_499)
    assert books.seen(40_000) == (3 * USDC, 3 * USDC, 0)


def test_price_stable_before_a_doubt_is_its_worth() -> None:
    books = Books()
    books.mark(0.8, 0)
    books.mark(0.01, 20_000)
    books.mark(None, 21_000)
    assert books.seen(40_000)[0] == -950_000


def test_a_doubt_that_lasts_hides_no_total_loss() -> None:
    books = Books()
    books.mark(0.8, 0)
    books.now = Valuation(0, 100_000, False)
    books.account.mark("a", books.now, 20_000)
    assert books.seen(20_000) == (-USDC, -900_000, 1)
    assert books.seen(20_000 + DOUBT_MS) == (-900_000, -900_000, 0)


# Shares that come or go without an order.


@given(some.sampled_from([None, 0.1, 0.5, 0.9]), some.integers(0, 9), some.integers(0, 30_000))
def test_what_comes_and_goes_without_an_order_is_no_result(
    price: float | None, cost: int, when: int
) -> None:
    books = Books()
    books.mark(price, 0)
    before = books.seen(when)
    came = OutcomePosition(10 * USDC, cost * USDC)
    held = OutcomePosition(15 * USDC, 2_500_000 + came.cost_micros)
    books.account.put(-USDC - came.cost_micros, {"a": held}, when, {"a": came})
    by, certain = books.account.moved("a", came)
    assert certain is (price is not None)
    account = books.account
    assert (
        account.known_micros - by.known_micros, account.high_micros - by.high_micros
    ) == before[:2]  # fmt: skip
    account.put(
        -USDC, {"a": OutcomePosition(5 * USDC, 2_500_000)}, when, {"a": OutcomePosition(0, 0)}
    )
    back, certain = account.moved("a", OutcomePosition(-came.shares_micros, -came.cost_micros))
    assert certain
    if price is not None:
        assert by.plus(back) == Figures(0, 0, 0)


def test_what_has_come_and_gone_meanwhile_counts_as_it_was_worth() -> None:
    books = Books()
    books.mark(0.8, 0)
    books.now = Valuation(0, 0, True)
    came = OutcomePosition(-5 * USDC, -2_500_000)
    books.account.put(USDC, {}, 10_000, {"a": came})
    assert books.account.moved("a", came) == (same(-1_500_000), True)


@given(some.lists(some.tuples(some.sampled_from("abc"), some.integers(1, 999_999)), max_size=20))
def test_an_account_that_is_marked_is_as_one_that_is_read_anew(
    marks: list[tuple[str, int]],
) -> None:
    held = {
        "a": OutcomePosition(5 * USDC, 9),
        "b": OutcomePosition(USDC, 9),
        "c": OutcomePosition(7, 9),
    }
    newest = {asset: book(bids=((500_000, 3 * USDC),)) for asset in held}

    def worth_of(asset: str, shares: int) -> Valuation:
        return worth(newest[asset], shares)

    account, fresh = Account(PATIENCE, worth_of), Account(PATIENCE, worth_of)
    account.put(-USDC, held, 0)
    for asset, price in marks:
        newest[asset] = book(bids=((price, 3 * USDC),) if price % 5 else ())
        account.mark(asset, worth_of(asset, held[asset].shares_micros), 1)
    fresh.put(-USDC, held, 1)
    for name in ("low_micros", "high_micros", "known_micros", "doubtful", "value_micros"):
        assert getattr(account, name) == getattr(fresh, name)


# Windows.


def test_windows_begin_where_they_begin() -> None:
    at = begin(facts(5))
    at = follow(at, facts(8))
    at = follow(at, facts(6, day="2026-11-25"))
    at = follow(at, facts(4, day="2026-11-25", session=2))
    found = standing.marks(at, session=2, day="2026-11-25")
    assert {window: mark.result_micros // USDC for window, mark in found.items()} == {
        Window.TOTAL: 5, Window.FROM_PEAK: 8, Window.DAY: 6, Window.SESSION: 4,
    }  # fmt: skip
    assert follow(at, facts(1, baseline=2)) == begin(facts(1, baseline=2))


def test_what_comes_without_an_order_moves_no_window() -> None:
    at = follow(begin(facts(5)), facts(8))
    after = standing.moved(at, {"a": (OutcomePosition(USDC, 9), -3 * USDC)})
    assert (after.total_at, after.peak_micros, after.index) == (at.total_at, 8 * USDC, at.index)
    assert after.brought_micros == -3 * USDC
    assert standing.moved(after, {"a": (OutcomePosition(0, 0), USDC)}).brought_micros == -2 * USDC
    more = facts(8, equity_micros=90 * USDC, flows=after.flows)
    assert follow(after, more).equity_micros == 90 * USDC, "taken anew"
    assert standing.from_json(standing.to_json(after)) == after


def test_window_without_a_known_beginning_is_not_judged() -> None:
    rules = stop(day=amount(1), session=amount(1))
    of = case(begin(facts(0)), rules, day="2026-11-25", session=2)
    assert judged(of, -50) is None


@pytest.mark.parametrize(
    ("limits", "result", "window"),
    [
        ({"total": amount(10)}, -10, Window.TOTAL),
        ({"total": amount(10)}, -9.999999, None),
        ({"from_peak": amount(10)}, 10, Window.FROM_PEAK),
        ({"from_peak": amount(10)}, 10.000001, None),
        ({"day": amount(5), "total": amount(10)}, -5, Window.DAY),
        ({"total": fraction(0.1)}, -10, Window.TOTAL),
        ({"total": fraction(0.1)}, -9.999999, None),
        ({"from_peak": fraction(0.1)}, 8, Window.FROM_PEAK),
        ({"from_peak": fraction(0.1)}, 8.000001, None),
    ],
)
def test_a_loss_stop_acts_at_its_limit(
    limits: dict[str, Limit], result: float, window: Window | None
) -> None:
    at = follow(begin(facts(0)), facts(20))
    found = judged(case(at, stop(**limits)), result)
    assert (found.rule if found else None) == window


def test_a_loss_that_is_none_at_the_upper_bound_stops_nobody() -> None:
    of = case(begin(facts(0)), stop(total=amount(10)))
    assert judged(of, -50, -9) is None
    found = judged(of, -50, -10)
    assert found is not None
    assert found.limit_micros == 10 * USDC


@given(some.lists(some.tuples(some.integers(-40, 40), some.integers(-90, 900)), max_size=8))
def test_money_put_in_or_taken_out_moves_no_index(moves: list[tuple[int, int]]) -> None:
    """Compared with the units of a fund, in exact numbers."""
    at, equity, funded, result, exact = begin(facts(0)), 100, 100, 0, Fraction(1)
    for change, flow in moves:
        if equity + change <= 0 or equity + change + flow <= 0 or not flow:
            continue
        exact *= Fraction(equity + change, equity)
        result, equity, funded = result + change, equity + change + flow, funded + flow
        before = index_at(at, result * USDC)
        moved = facts(result, equity_micros=equity * USDC, funded_micros=funded * USDC)
        at = follow(at, moved)
        assert index_at(at, result * USDC) == before, "by the flow itself"
        assert before / standing.UNIT == pytest.approx(float(exact), rel=1e-6)


@given(some.integers(-99, 500), some.integers(1, standing.UNIT))
def test_the_result_at_an_index_is_never_too_late(result: int, index: int) -> None:
    more = facts(result, funded_micros=1, equity_micros=(100 + result) * USDC)
    at = follow(begin(facts(0)), more)
    # A micro below it the index is lower: who stops at it does not stop later than at the index.
    assert index_at(at, result_at(at, index) - 1) < index


def test_a_wallet_without_equity_stops_at_any_loss() -> None:
    at = begin(facts(0, equity_micros=0))
    assert judged(case(at, stop(total=fraction(0.5))), 0) is None
    assert judged(case(at, stop(total=fraction(0.5))), -0.000001) is not None


def test_a_fraction_is_not_judged_without_an_equity() -> None:
    at = begin(facts(0, equity_micros=None, funded_micros=None))
    assert judged(case(at, stop(total=fraction(0.1))), -90) is None
    assert judged(case(follow(at, facts(0)), stop(total=fraction(0.1))), -90) is not None


# The scale.


@pytest.mark.parametrize(
    ("scale", "result", "desired", "anchor"),
    [
        (1, 10, 2, 10), (1, 9.999999, None, None), (1, 35, 2, 10), (2, 10, 3, 10),
        (3, 50, None, None), (1, -10, 0.5, -10), (0.25, -90, None, None), (0.5, -30, 0.25, -10),
    ],
)  # fmt: skip
def test_the_scale_steps_within_its_bounds(
    scale: float, result: float, desired: float | None, anchor: float | None
) -> None:
    of = case(begin(facts(0)), Performance(profit_scale=SCALE), scale_micros=int(scale * USDC))
    found = judged(of, result)
    assert (found and (found.scale_micros / USDC, found.anchor_micros / USDC)) == (
        None if desired is None else (desired, anchor)
    )


def test_step_up_waits_for_the_cooldown_and_a_step_down_does_not() -> None:
    of = case(begin(facts(0)), Performance(profit_scale=SCALE), in_cooldown=True)
    assert judged(of, 90) is None
    down = judged(of, -90)
    assert down is not None
    assert down.rule is Step.STEP_DOWN


def test_a_reset_sets_the_scale_to_one() -> None:
    rules = Performance(profit_scale=structs.replace(SCALE, on_loss=OnLoss.RESET))
    found = judged(case(begin(facts(0)), rules, scale_micros=3 * USDC), -25)
    assert found is not None
    assert (found.scale_micros, found.anchor_micros) == (USDC, -25 * USDC)
    assert judged(case(begin(facts(0)), rules), -25) is None


def test_a_reset_raises_no_scale_that_is_below_one() -> None:
    rules = Performance(profit_scale=structs.replace(SCALE, on_loss=OnLoss.RESET))
    of = case(begin(facts(0)), rules, scale_micros=USDC // 2)
    assert bounds(of).down_micros is None
    assert judged(of, -25) is None


def test_gain_counts_at_the_lower_bound_and_loss_at_the_upper() -> None:
    of = case(begin(facts(0)), Performance(profit_scale=SCALE))
    assert judged(of, -90, 90) is None


def test_a_loss_stop_comes_before_a_step() -> None:
    rules = Performance(
        loss_stop=LossStop(action=LossAction.PAUSE, total=amount(10)), profit_scale=SCALE
    )
    found = judged(case(begin(facts(0)), rules), -10)
    assert found is not None
    assert found.stop is LossAction.PAUSE


@given(
    some.integers(-60, 60), some.integers(0, 60), some.sampled_from([USDC // 2, USDC, 2 * USDC]),
    some.integers(-30, 30), some.booleans(),
)  # fmt: skip
def test_within_its_bounds_nothing_is_asked_for(
    low: int, wide: int, scale: int, peak: int, in_cooldown: bool
) -> None:
    rules = Performance(
        loss_stop=LossStop(action=LossAction.PAUSE, total=fraction(0.2), from_peak=amount(15)),
        profit_scale=SCALE,
    )
    at = follow(begin(facts(0)), facts(peak))
    of = case(at, rules, scale_micros=scale, in_cooldown=in_cooldown)
    within = bounds(of)
    bottom, top = low * USDC, (low + wide) * USDC
    if within.hold(bottom, top):
        assert judge.judge(of, within, bottom, top) is None
        assert follow(at, facts(low)) == at


# Looks.


def move(of: Case, low: float) -> judge.RuleAction | None:
    return judged(of, low)


def test_two_looks_far_enough_apart_are_sure() -> None:
    of = case(begin(facts(0)), stop(total=amount(10)))
    desired = move(of, -11)
    first = seen(None, desired, Point(1_000, -11, -11))
    assert not sure(first, 0), "one look is never enough"
    assert not sure(seen(first, desired, Point(1_499, -11, -11)), 500)
    assert sure(seen(first, desired, Point(1_500, -11, -11)), 500)


def test_a_look_in_between_that_shows_nothing_begins_anew() -> None:
    of = case(begin(facts(0)), stop(total=amount(10)))
    desired = move(of, -11)
    first = seen(None, desired, Point(1_000, -11, -11))
    assert seen(first, move(of, -9), Point(1_200, -9, -9)) is None
    assert not sure(seen(None, desired, Point(1_600, -11, -11)), 500)


def test_a_step_up_that_became_a_loss_begins_anew() -> None:
    scaling = case(begin(facts(0)), Performance(profit_scale=SCALE))
    up = seen(None, move(scaling, 20), Point(1, 2, 2))
    of = case(begin(facts(0)), stop(total=amount(10)))
    found = seen(up, move(of, -11), Point(2_000, -11, -11))
    assert found is not None
    assert len(found.points) == 1


def test_evidence_keeps_the_first_look_and_the_last_ones() -> None:
    of = case(begin(facts(0)), stop(total=amount(10)))
    pending: Pending | None = None
    for number in range(100):
        pending = seen(pending, move(of, -11), Point(number, -11, -11))
    assert pending is not None
    assert len(pending.points) == judge.MAX_POINTS
    assert (pending.points[0].at_ms, pending.points[-1].at_ms) == (0, 99)


# Forms.


def test_rules_and_standings_are_read_as_they_were_written() -> None:
    rules = Performance(
        loss_stop=LossStop(
            action=LossAction.REDUCE_ONLY, scope=Scope.WALLET, day=amount(1), total=fraction(0.5)
        ),
        profit_scale=SCALE,
    )
    assert from_json(to_json(rules)) == rules
    assert to_json(Performance()) == {}
    at = follow(begin(facts(5)), facts(9, session=2))
    assert standing.from_json(standing.to_json(at)) == at


def test_an_action_has_one_name_for_each_time() -> None:
    assert action_id("sub_1", 0) == action_id("sub_1", 0)
    assert len({action_id(name, n) for name in ("sub_1", "sub_2") for n in range(3)}) == 6


@pytest.mark.parametrize("desired", PerformanceState)
@pytest.mark.parametrize("present", [None, *PerformanceState])
def test_every_state_is_reached_from_every_other(
    present: PerformanceState | None, desired: PerformanceState
) -> None:
    reached = present
    for _ in range(3):
        reached = next_state(reached, desired)
    assert reached is desired
