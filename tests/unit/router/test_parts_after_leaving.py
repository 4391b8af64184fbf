"""A part of a leader's old sell, judged again after he has left, takes nothing that is newer."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from services.router.core.exit_plan import plan_exits
from services.router.core.records import Copy, LotView, Plan
from tests.unit.router.test_leader_left import SUB, TRADED_MS, context, trade
from tests.unit.samples import book, subscription
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.money import MICROS
from tradingtools.domain.reasons import Reason

_MINIMUM = 5 * MICROS
_SHARE = MICROS // 100


def _judged(owned: int, of_then: int, newer: int) -> Plan:
    """A sell of half of what the follower owned, of which a slice has sold nothing yet."""
    sell = trade(1, Side.SELL, 50, held=100)
    start = Copy(
        frozen=subscription(),
        owned_micros=owned,
        judged_size_micros=sell.size_micros,
        judged_notional_micros=sell.notional_micros,
        copied=True,
    )
    shares = of_then + newer
    lot = LotView(shares_micros=shares, free_micros=shares, later_micros=newer)
    now = context(book=book(minimum=_MINIMUM), left_ms=TRADED_MS + 1)
    return plan_exits(sell, [subscription()], {SUB: start}, {SUB: lot}, now)


@given(
    *(st.integers(0, 3_000).map(lambda n: n * _SHARE) for _ in range(3)),
)
@example(owned=6 * MICROS, of_then=3 * MICROS, newer=690 * _SHARE)
def test_it_takes_no_more_than_what_is_left_of_then(owned: int, of_then: int, newer: int) -> None:
    plan = _judged(owned, of_then, newer)
    sold = sum(order.size_micros for order in plan.orders)
    assert sold <= of_then
    assert sold == 0 or sold >= _MINIMUM


def test_what_is_too_small_goes_along_with_what_was_bought_since() -> None:
    plan = _judged(6 * MICROS, 3 * MICROS, 690 * _SHARE)
    (copy,) = plan.copies.values()
    assert (plan.orders, copy.reason) == ((), Reason.ACCUMULATING)
    assert copy.small_micros == 3 * MICROS


def test_what_can_be_sold_is_sold_to_the_end() -> None:
    plan = _judged(6 * MICROS, 8 * MICROS, 100 * MICROS)
    assert [order.size_micros for order in plan.orders] == [8 * MICROS]
    # Without anything newer, as ever.
    plan = _judged(6 * MICROS, 9 * MICROS, 0)
    assert [order.size_micros for order in plan.orders] == [9 * MICROS]
