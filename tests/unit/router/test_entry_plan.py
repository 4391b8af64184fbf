"""The plan for a leader trade: parts, slices and reasons, however its rows arrive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.router.core.caps import Exposure
from services.router.core.entry_plan import plan_entries
from services.router.core.exit_plan import entry_ended, plan_exits, slice_ended
from services.router.core.records import (
    Awaited,
    Context,
    Copy,
    LotView,
    Plan,
    StaleEntry,
    without_stale_entry,
)
from tests.unit.samples import CONDITION, FOLLOWER, LEADER, TX, book, subscription
from tradingtools.domain import ids
from tradingtools.domain.book import Book
from tradingtools.domain.copy_settings import CopySettings, ExitBelowMinimum
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.leader_trade import (
    LeaderRow,
    LeaderTrade,
    Side,
    Source,
    TradeKey,
    merge,
)
from tradingtools.domain.money import MICROS
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import SizingMode, Subscription, SubscriptionState
from tradingtools.venues.insiders.order_body import order_body

NOW = 1_700_000_000_500
TRADED = 1_700_000_000_000
STEP = 10_000
SUB = "sub-1"


def row(
    side: Side = Side.BUY,
    price: int = 500_000,
    size: int = 100_000_000,
    count: int = 1,
    source: Source = Source.FEED,
    held: int | None = None,
) -> LeaderRow:
    return LeaderRow(
        key=TradeKey(leader_tx=TX, leader=LEADER, asset_id="7", side=side),
        condition_id=CONDITION,
        price_text=str(price),
        price_micros=price,
        size_micros=size,
        count=count,
        source=source,
        traded_ms=TRADED,
        received_ns=0,
        held_before_micros=held,
    )


def trade(*rows: LeaderRow) -> LeaderTrade:
    merged: LeaderTrade | None = None
    for fact in rows:
        merged = merge(merged, fact) or merged
    assert merged is not None
    return merged


@dataclass
class Follower:
    """A router's memory between the rows of one leader trade."""

    subscription: Subscription
    market: Book = field(default_factory=book)
    held: int = 0
    now_ms: int = NOW
    least_ms: int = 0
    leader: LeaderFacts | None = None
    copies: dict[str, Copy] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)

    def context(self) -> Context:
        spent = sum(order.reserved_money_micros for order in self.orders)
        owner = {order.copy_key: order.subscription_id for order in self.orders}
        return Context(
            body_of=order_body,
            book=self.market,
            now_ms=self.now_ms,
            entry_ttl_ms=2_000,
            entry_least_ms=self.least_ms,
            exit_ttl_ms=5_000,
            exposure=lambda _: Exposure(market_micros=self.held + spent),
            entry_owner=owner.get,
            leader=self.leader,
        )

    def sees_buy(self, known: LeaderTrade) -> tuple[Order, ...]:
        plan = plan_entries(known, [self.subscription], self.copies, self.context())
        return self.take(plan)

    def sees_sell(self, known: LeaderTrade, lot: LotView) -> tuple[Order, ...]:
        plan = plan_exits(known, [self.subscription], self.copies, {SUB: lot}, self.context())
        return self.take(plan)

    def take(self, plan: Plan) -> tuple[Order, ...]:
        self.copies |= plan.copies
        self.orders += plan.orders
        return plan.orders

    @property
    def copy(self) -> Copy:
        return self.copies[SUB]


money = st.integers(0, 60_000_000)
subscriptions = st.builds(
    lambda mode, fixed, ratio, trade_cap, market_cap: replace(
        subscription(),
        sizing_mode=mode,
        sizing_micros=fixed if mode is SizingMode.FIXED else ratio,
        max_per_trade_micros=trade_cap,
        max_per_market_micros=market_cap,
    ),
    st.sampled_from([SizingMode.FIXED, SizingMode.RATIO]),
    money,
    st.integers(0, 2 * MICROS),
    st.none() | money,
    st.none() | money,
)
books = st.builds(
    lambda depth, minimum, tick: book(asks=((tick * 2, depth),), tick=tick, minimum=minimum),
    st.integers(1, 10**9),
    st.sampled_from([0, 1_000_000, 5_000_000]),
    st.sampled_from([1_000, 10_000]),
)
buys = st.lists(
    st.builds(
        row,
        price=st.sampled_from([40_000, 333_333, 500_000, 999_000]),
        size=st.integers(1, 60_000_000),
        count=st.integers(1, 3),
    ),
    min_size=1,
    max_size=6,
)


@given(subscriptions, books, buys, money, st.data())
def test_parts_never_exceed_what_the_whole_trade_allows(
    made: Subscription, market: Book, rows: list[LeaderRow], held: int, data: st.DataObject
) -> None:
    follower = Follower(made, market, held)
    seen: list[LeaderRow] = []
    for fact in data.draw(st.permutations(rows)):
        seen.append(fact)
        for order in follower.sees_buy(trade(*seen)):
            assert order.size_micros % STEP == 0
            assert order.size_micros >= max(market.market.min_size_micros, STEP)
    spent = sum(order.size_micros * order.limit_micros for order in follower.orders)
    allowed = made.sizing_micros
    if made.sizing_mode is SizingMode.RATIO:
        allowed = trade(*rows).notional_micros * allowed // MICROS
    assert spent <= allowed * MICROS
    if made.max_per_market_micros is not None and follower.orders:
        assert held * MICROS + spent <= made.max_per_market_micros * MICROS
    if made.max_per_trade_micros is not None:
        assert spent <= made.max_per_trade_micros * MICROS
    assert len({order.order_key for order in follower.orders}) == len(follower.orders)
    assert [order.ordinal for order in follower.orders] == list(range(len(follower.orders)))


@given(subscriptions, books, buys, money)
def test_a_shortfall_always_has_its_reason(
    made: Subscription, market: Book, rows: list[LeaderRow], held: int
) -> None:
    follower = Follower(made, market, held)
    seen: list[LeaderRow] = []
    for fact in rows:
        follower.sees_buy(trade(*(seen := [*seen, fact])))
        copy = follower.copy
        desired = made.sizing_micros
        if made.sizing_mode is SizingMode.RATIO:
            desired = trade(*seen).notional_micros * made.sizing_micros // MICROS
        spent = sum(order.reserved_money_micros for order in follower.orders)
        assert copy.copied == bool(follower.orders)
        # A hundredth of a share never costs more than a hundredth of a dollar.
        if not copy.copied or desired - spent >= STEP:
            assert copy.reason is not Reason.NONE
        assert bool(copy.detail) == (copy.reason is not Reason.NONE)


@given(subscriptions, books, buys, st.sampled_from(Source))
def test_the_same_trade_again_orders_nothing_more(
    made: Subscription, market: Book, rows: list[LeaderRow], source: Source
) -> None:
    deep = structs.replace(market, asks=((market.asks[0][0], 10**15),))
    follower = Follower(made, deep)
    known = trade(*(replace(fact, source=source) for fact in rows))
    first = follower.sees_buy(known)
    before = follower.copy
    assert follower.sees_buy(known) == ()
    assert follower.copy.order_keys == before.order_keys
    # A repetition from the same memory makes the same bytes.
    assert Follower(made, deep).sees_buy(known) == first


facts = st.lists(
    st.builds(
        row,
        price=st.sampled_from([400_000, 500_000, 510_000]),
        size=st.integers(1, 60_000_000),
        count=st.integers(1, 2),
        source=st.sampled_from(Source),
    ),
    min_size=2,
    max_size=5,
)


@given(subscriptions, facts)
def test_no_part_pays_more_than_the_dearest_row_and_the_slippage(
    made: Subscription, rows: list[LeaderRow]
) -> None:
    # Two kinds of source that disagree about size and money make a difference without a price.
    follower = Follower(made, book(asks=((10_000, 10**15),), minimum=0))
    seen: list[LeaderRow] = []
    for fact in rows:
        seen.append(fact)
        for order in follower.sees_buy(trade(*seen)):
            dearest = max(known.price_micros for known in seen)
            assert order.limit_micros * MICROS <= dearest * (MICROS + made.slippage_micros)


def test_a_correction_of_the_catch_up_is_not_a_price() -> None:
    follower = Follower(replace(subscription(), sizing_micros=90_000_000))
    follower.market = book(asks=((500_000, 100_000_000), (900_000, 10**12)), minimum=1_000_000)
    first = row(size=100_000_000)
    assert [o.size_micros for o in follower.sees_buy(trade(first))] == [100_000_000]
    corrected = row(source=Source.CATCH_UP, price=509_000, size=100_010_000)
    (second,) = follower.sees_buy(trade(first, corrected))
    assert second.limit_micros == 520_000


def test_parts_top_up_at_the_price_of_what_is_new() -> None:
    follower = Follower(
        replace(subscription(), sizing_mode=SizingMode.RATIO, sizing_micros=100_000)
    )
    first, second = row(size=100_000_000), row(price=480_000, size=200_000_000)
    follower.market = book(asks=((400_000, 10**12),))
    (zero,) = follower.sees_buy(trade(first))
    (one,) = follower.sees_buy(trade(first, second))
    assert (zero.ordinal, zero.limit_micros) == (0, 510_000)
    assert (one.ordinal, one.limit_micros) == (1, 490_000)
    # 10 % of 146 USDC: what the first part did not spend of its 5 is spent by the second.
    assert zero.reserved_money_micros + one.reserved_money_micros <= 14_600_000
    assert zero.copy_key == one.copy_key


def test_every_earlier_part_counts() -> None:
    made = replace(subscription(), sizing_mode=SizingMode.RATIO, sizing_micros=100_000)
    follower = Follower(made)
    for count in (1, 2, 3, 4):
        follower.sees_buy(trade(row(count=count)))
        spent = sum(order.reserved_money_micros for order in follower.orders)
        assert 4_900_000 * count < spent <= 5_000_000 * count
        assert follower.copy.ordered_money_micros == spent
    assert [order.ordinal for order in follower.orders] == [0, 1, 2, 3]


def test_a_part_respects_the_tick_and_the_minimum_of_its_moment() -> None:
    made = replace(subscription(), sizing_mode=SizingMode.RATIO, sizing_micros=100_000)
    asks = ((330_000, 10**12),)
    follower = Follower(made, book(asks=asks))
    price = row(price=333_333, size=300_000_000)
    (first,) = follower.sees_buy(trade(price))
    assert first.limit_micros == 340_000
    follower.market = book(asks=asks, tick=1_000, minimum=500_000_000)
    assert follower.sees_buy(trade(replace(price, count=2))) == ()
    assert follower.copy.reason is Reason.BELOW_MINIMUM
    follower.market = book(asks=asks, tick=1_000)
    (second,) = follower.sees_buy(trade(replace(price, count=3)))
    assert second.limit_micros == 343_000


def test_part_zero_freezes_the_settings() -> None:
    made = replace(subscription(), sizing_mode=SizingMode.RATIO, sizing_micros=100_000)
    follower = Follower(made)
    follower.sees_buy(trade(row()))
    follower.subscription = replace(made, sizing_micros=MICROS, version=2)
    (part,) = follower.sees_buy(trade(row(count=2)))
    assert part.subscription_version == 1
    assert follower.copy.ordered_money_micros <= 10_000_000


def withdrawn(order: Order) -> StaleEntry:
    return StaleEntry(
        key=trade(row()).key,
        subscription_id=order.subscription_id,
        order_key=order.order_key,
        size_micros=order.size_micros,
        money_micros=order.reserved_money_micros,
    )


@given(buys, money, money, st.data())
def test_stale_entry_is_decided_again_under_new_settings(
    rows: list[LeaderRow], before: int, now: int, data: st.DataObject
) -> None:
    old, new = (replace(subscription(), sizing_micros=money) for money in (before, now))
    new = replace(new, version=2)
    follower = Follower(old, book(minimum=0))
    cut = data.draw(st.integers(1, len(rows)))
    first = follower.sees_buy(trade(*rows[:cut]))
    for order in first:
        copy = without_stale_entry(follower.copy, withdrawn(order), new)
        assert copy is not None
        assert without_stale_entry(copy, withdrawn(order), new) is None
        follower.copies[SUB] = copy
        follower.orders.remove(order)
    follower.subscription = new
    for end in range(cut, len(rows) + 1):
        follower.sees_buy(trade(*rows[:end]))
    afresh = Follower(new, book(minimum=0))
    for end in range(cut, len(rows) + 1):
        afresh.sees_buy(trade(*rows[:end]))
    assert [(o.size_micros, o.limit_micros) for o in follower.orders] == [
        (o.size_micros, o.limit_micros) for o in afresh.orders
    ]
    assert all(o.subscription_version == 2 for o in follower.orders)
    keys = [order.order_key for order in (*first, *follower.orders)]
    assert len(set(keys)) == len(keys)


def test_a_skip_is_judged_under_the_settings_of_its_moment() -> None:
    follower = Follower(replace(subscription(), sizing_micros=1_000_000))
    assert follower.sees_buy(trade(row())) == ()
    skipped = follower.copy
    follower.subscription = replace(subscription(), version=2)
    (part,) = follower.sees_buy(trade(row(count=2)))
    assert (part.ordinal, part.subscription_version) == (0, 2)
    assert (skipped.reason, follower.copy.reason) == (Reason.BELOW_MINIMUM, Reason.NONE)


@pytest.mark.parametrize("state", [SubscriptionState.PAUSED, SubscriptionState.DELETED])
def test_a_paused_subscription_enters_nothing_and_leaves_all(state: SubscriptionState) -> None:
    follower = Follower(replace(subscription(), state=state))
    assert follower.sees_buy(trade(row())) == ()
    assert (follower.copy.reason, follower.copy.copied) == (Reason.PAUSED, False)
    follower.copies.clear()
    lot = LotView(shares_micros=10_000_000, free_micros=10_000_000)
    (order,) = follower.sees_sell(trade(row(Side.SELL)), lot)
    assert order.size_micros == 10_000_000


@pytest.mark.parametrize(("age", "copied"), [(60_000, True), (60_001, False)])
def test_an_old_buy_is_refused_and_an_old_sell_is_not(age: int, copied: bool) -> None:
    follower = Follower(subscription(), now_ms=TRADED + age)
    assert bool(follower.sees_buy(trade(row()))) is copied
    if not copied:
        assert follower.copy.reason is Reason.TOO_OLD
        assert follower.copy.detail == "60001 ms > 60000 ms"
    late = Follower(subscription(), now_ms=TRADED + 10**9)
    lot = LotView(shares_micros=10_000_000, free_micros=10_000_000)
    (order,) = late.sees_sell(trade(row(Side.SELL)), lot)
    assert order.not_after_ms == late.now_ms + 5_000


def test_a_maximum_age_of_zero_is_not_the_default() -> None:
    follower = Follower(replace(subscription(), max_age_ms=0))
    assert follower.sees_buy(trade(row())) == ()
    assert follower.copy.reason is Reason.TOO_OLD


@pytest.mark.parametrize(("age", "copied"), [(59_900, True), (59_901, False)])
def test_what_could_not_be_sent_in_its_time_is_too_old(age: int, copied: bool) -> None:
    follower = Follower(subscription(), now_ms=TRADED + age, least_ms=100)
    assert bool(follower.sees_buy(trade(row()))) is copied
    if not copied:
        assert follower.copy.reason is Reason.TOO_OLD
        assert follower.copy.detail == "59901 ms, and 100 ms to be sent, > 60000 ms"


def test_future_dated_trade_lives_no_longer_than_one_of_now() -> None:
    follower = Follower(replace(subscription(), max_age_ms=1_500), now_ms=TRADED - 10_000)
    (order,) = follower.sees_buy(trade(row()))
    assert order.not_after_ms == follower.now_ms + 1_500


def test_later_part_ends_with_the_age_of_the_trade() -> None:
    tenth = replace(subscription(), sizing_mode=SizingMode.RATIO, sizing_micros=100_000)
    follower = Follower(replace(tenth, max_age_ms=1_500), least_ms=100)
    follower.now_ms = TRADED + 200
    (first,) = follower.sees_buy(trade(row()))
    follower.now_ms = TRADED + 1_300
    (second,) = follower.sees_buy(trade(row(count=2)))
    assert first.not_after_ms == second.not_after_ms == TRADED + 1_500
    follower.now_ms = TRADED + 1_401
    assert follower.sees_buy(trade(row(count=3))) == ()
    assert follower.copy.reason is Reason.TOO_OLD


def test_an_entry_ends_with_its_age() -> None:
    near, far = Follower(subscription()), Follower(subscription(), now_ms=TRADED + 59_000)
    assert near.sees_buy(trade(row()))[0].not_after_ms == NOW + 2_000
    assert far.sees_buy(trade(row()))[0].not_after_ms == TRADED + 60_000


def test_a_wallet_enters_once_and_the_second_names_the_winner() -> None:
    first, second = subscription(), replace(subscription(), id="sub-2")
    context = Follower(first).context()
    plan = plan_entries(trade(row()), [first, second], {}, context)
    assert [order.subscription_id for order in plan.orders] == [SUB]
    loser = plan.copies["sub-2"]
    assert (loser.reason, loser.detail, loser.copied) == (
        Reason.KEY_TAKEN,
        "copied for sub-1",
        False,
    )
    # Also when the winner was claimed before, by whomever.
    key = ids.entry_copy_key(TX, FOLLOWER.proxy, "7")
    taken = replace(context, entry_owner={key: "sub-9"}.get)
    again = plan_entries(trade(row()), [first], {}, taken)
    assert again.copies[SUB].detail == "copied for sub-9"


def test_a_skip_takes_no_key() -> None:
    poor = replace(subscription(), sizing_micros=0)
    second = replace(subscription(), id="sub-2")
    plan = plan_entries(trade(row()), [poor, second], {}, Follower(poor).context())
    assert [order.subscription_id for order in plan.orders] == ["sub-2"]
    assert plan.copies[SUB].reason is Reason.BELOW_MINIMUM


@pytest.mark.parametrize(
    ("market", "reason"),
    [
        (None, Reason.MARKET_UNKNOWN),
        (book(closed=True), Reason.MARKET_CLOSED),
        (book(payout=0), Reason.MARKET_CLOSED),
    ],
)
def test_without_an_open_market_nothing_is_ordered(market: Book | None, reason: Reason) -> None:
    context = replace(Follower(subscription()).context(), book=market)
    plan = plan_entries(trade(row()), [subscription()], {}, context)
    assert plan.orders == ()
    assert plan.copies[SUB].reason is reason
    lot = {SUB: LotView(shares_micros=10_000_000, free_micros=10_000_000)}
    leaving = plan_exits(trade(row(Side.SELL)), [subscription()], {}, lot, context)
    assert leaving.orders == ()
    assert leaving.copies[SUB].reason is reason


def test_keys_and_bodies_are_made_of_their_inputs() -> None:
    (order,) = Follower(subscription()).sees_buy(trade(row()))
    copy_key = ids.entry_copy_key(TX, FOLLOWER.proxy, "7")
    assert order.copy_key == copy_key
    assert order.order_key == ids.order_key(copy_key, 0)
    assert order.purpose is Purpose.ENTRY
    body = json.loads(order.body)
    assert (body["size"], body["limitPrice"], body["assetId"]) == ("19.6", "0.51", "7")
    assert order.reserved_money_micros == 9_996_000
    assert order.reserved_shares_micros == 0


# Exits.


def nothing_filled(copy: Copy, order: Order, *, tried: bool = True) -> Copy:
    return slice_ended(
        copy, size_micros=order.size_micros, filled_micros=0, tried=tried, ended_ms=0
    )


@dataclass
class Lot:
    """Shares, and the orders that have reserved some of them."""

    shares: int
    open: dict[str, int] = field(default_factory=dict)

    def view(self) -> LotView:
        free = self.shares - sum(self.open.values())
        return LotView(shares_micros=self.shares, free_micros=free)


sells = st.lists(st.tuples(st.integers(1, 60_000_000), st.integers(0, 100)), min_size=1, max_size=5)


@given(
    st.integers(1, 100_000_000),
    st.none() | st.integers(0, 200_000_000),
    sells,
    st.sampled_from([0, 1_000_000, 5_000_000]),
    st.data(),
)
def test_slices_never_sell_more_than_was_owned(
    owned: int,
    held: int | None,
    rows: list[tuple[int, int]],
    minimum: int,
    data: st.DataObject,
) -> None:
    follower = Follower(subscription(), book(minimum=minimum))
    lot, sold = Lot(owned), 0
    seen: list[LeaderRow] = []
    for number, (size, part) in enumerate(rows):
        seen.append(row(Side.SELL, price=400_000 + number, size=size, held=held))
        for order in follower.sees_sell(trade(*seen), lot.view()):
            assert order.size_micros <= lot.view().free_micros
            lot.open[order.order_key] = order.size_micros
        if data.draw(st.booleans()):
            for key, reserved in list(lot.open.items()):
                filled = reserved * part // 100
                del lot.open[key]
                lot.shares -= filled
                sold += filled
                follower.copies[SUB] = slice_ended(
                    follower.copy,
                    size_micros=reserved,
                    filled_micros=filled,
                    tried=True,
                    ended_ms=0,
                )
        assert sold + sum(lot.open.values()) <= owned
        assert follower.copy.ordered_size_micros == sold + sum(lot.open.values())
    keys = [order.order_key for order in follower.orders]
    assert len(set(keys)) == len(keys)
    assert follower.copy.copied or follower.copy.reason is not Reason.NONE


@given(
    st.integers(5_000_000, 100_000_000),
    st.integers(1, 200_000_000),
    st.integers(1, 200_000_000),
    st.sampled_from([0, 1_000_000, 5_000_000]),
)
def test_the_same_sell_again_sells_nothing_more(
    owned: int, leader_sold: int, held: int, minimum: int
) -> None:
    follower, lot = Follower(subscription(), book(minimum=minimum)), Lot(owned)
    known = trade(row(Side.SELL, size=leader_sold, held=held))
    for order in follower.sees_sell(known, lot.view()):
        lot.open[order.order_key] = order.size_micros
    before = follower.copy
    assert follower.sees_sell(known, lot.view()) == ()
    # Nor after it was filled whole.
    lot.shares -= sum(lot.open.values())
    lot.open.clear()
    assert follower.sees_sell(known, lot.view()) == ()
    assert follower.copy.order_keys == before.order_keys


@pytest.mark.parametrize("held", [None, 0, 100_000_000])
def test_a_leader_who_is_flat_or_unknown_takes_everything_along(held: int | None) -> None:
    follower = Follower(subscription())
    lot = LotView(shares_micros=33_330_000, free_micros=33_330_000)
    (order,) = follower.sees_sell(trade(row(Side.SELL, held=held)), lot)
    assert (order.size_micros, order.reserved_shares_micros) == (33_330_000, 33_330_000)
    assert order.reserved_money_micros == 0


def test_half_of_the_leader_is_half_of_the_lot() -> None:
    follower = Follower(subscription())
    lot = LotView(shares_micros=20_000_000, free_micros=20_000_000)
    (order,) = follower.sees_sell(trade(row(Side.SELL, held=200_000_000)), lot)
    assert order.size_micros == 10_000_000


def test_what_would_be_left_as_dust_is_sold_along_by_choice() -> None:
    half = trade(row(Side.SELL, held=200_000_000))
    lot = LotView(shares_micros=8_000_000, free_micros=8_000_000)
    settings = CopySettings(exit_below_minimum=ExitBelowMinimum.ROUND_UP)
    follower = Follower(replace(subscription(), settings=settings))
    (order,) = follower.sees_sell(half, lot)
    assert order.size_micros == 8_000_000
    usual = Follower(subscription())
    assert usual.sees_sell(half, lot) == ()
    assert (usual.copy.reason, usual.copy.small_micros) == (Reason.ACCUMULATING, 4_000_000)


@pytest.mark.parametrize(
    ("lot", "reason"),
    [
        (LotView(shares_micros=0, free_micros=0), Reason.NOTHING_HELD),
        (LotView(shares_micros=10**7, free_micros=0), Reason.ALREADY_SELLING),
        (LotView(shares_micros=10**7 + 3_333, free_micros=3_333), Reason.ALREADY_SELLING),
        (LotView(shares_micros=10**6, free_micros=10**6), Reason.DUST),
        (
            LotView(
                shares_micros=10**6,
                free_micros=10**6,
                unresolved=(Awaited(order_key="e", filled_micros=0),),
            ),
            Reason.WAITING_FOR_ENTRY,
        ),
    ],
)
def test_an_exit_that_is_not_made_says_why(lot: LotView, reason: Reason) -> None:
    follower = Follower(subscription())
    assert follower.sees_sell(trade(row(Side.SELL)), lot) == ()
    assert (follower.copy.reason, follower.copy.copied) == (reason, False)


def test_a_killed_slice_is_sold_again_at_a_wider_limit() -> None:
    follower = Follower(subscription())
    lot = LotView(shares_micros=10**7, free_micros=10**7)
    known = trade(row(Side.SELL))
    (first,) = follower.sees_sell(known, lot)
    follower.copies[SUB] = nothing_filled(follower.copy, first)
    follower.now_ms += 1_000
    (second,) = follower.sees_sell(known, lot)
    assert (second.ordinal, second.size_micros) == (1, first.size_micros)
    assert second.limit_micros < first.limit_micros
    assert second.copy_key == first.copy_key


def test_unsent_slice_is_sold_again_at_the_same_limit() -> None:
    follower = Follower(subscription())
    lot = LotView(shares_micros=10**7, free_micros=10**7)
    known = trade(row(Side.SELL))
    (first,) = follower.sees_sell(known, lot)
    follower.copies[SUB] = nothing_filled(follower.copy, first, tried=False)
    follower.now_ms += 1_000
    (second,) = follower.sees_sell(known, lot)
    assert (second.ordinal, second.limit_micros) == (1, first.limit_micros)


def test_a_lot_that_was_sold_elsewhere_asks_for_nothing_more() -> None:
    follower = Follower(subscription())
    known = trade(row(Side.SELL))
    follower.sees_sell(known, LotView(shares_micros=10**7, free_micros=6_000_000))
    assert follower.copy.reason is Reason.ALREADY_SELLING
    empty = LotView(shares_micros=0, free_micros=0)
    assert follower.sees_sell(known, empty) == ()
    # A reason that stayed would have it judged for ever.
    assert len(follower.copy.order_keys) == 1
    assert not follower.copies[SUB].reason


def test_a_lot_that_was_sold_before_the_first_slice_says_so() -> None:
    follower = Follower(subscription())
    known = trade(row(Side.SELL))
    follower.sees_sell(known, LotView(shares_micros=10**7, free_micros=0))
    assert follower.copy.reason is Reason.ALREADY_SELLING
    assert follower.sees_sell(known, LotView(shares_micros=0, free_micros=0)) == ()
    assert (follower.copy.reason, follower.copy.copied) == (Reason.NOTHING_HELD, False)


def guards(sold: int, *, of: int = 10**7) -> LotView:
    """A lot whose trigger has sold so much of it, all that it asked for, and is not settled."""
    sale = Awaited(order_key="g", filled_micros=sold, sale=True)
    return LotView(
        shares_micros=of - sold, free_micros=of - sold, unsettled_micros=sold, sales=(sale,)
    )


@pytest.mark.parametrize("seen", [(10**7,), (0, 10**7), (4_000_000, 10**7)])
@pytest.mark.parametrize("part", [1, 2])
def test_undone_sale_of_a_trigger_follows_the_leader_out(seen: tuple[int, ...], part: int) -> None:
    follower = Follower(subscription())
    known = trade(row(Side.SELL, held=part * 100_000_000))
    for sold in seen:
        follower.sees_sell(known, replace(guards(sold), free_micros=0))
        assert (follower.copy.reason, follower.orders) == (Reason.ALREADY_SELLING, [])
    # Bought after the leader had sold.
    assert follower.sees_sell(known, guards(10**7, of=16_000_000)) == ()
    follower.copies[SUB] = entry_ended(follower.copy, "g", filled_micros=0)
    whole = LotView(shares_micros=10**7, free_micros=10**7)
    assert [order.size_micros for order in follower.sees_sell(known, whole)] == [10**7 // part]


def test_leader_leaving_in_two_sells_leaves_nothing_undone() -> None:
    follower = Follower(subscription())
    # All that is left is the trigger's, matched and not settled; half of it is an earlier sell's.
    portioned = replace(guards(2 * 10**7, of=2 * 10**7).sales[0], portion_micros=500_000)
    empty = LotView(shares_micros=0, free_micros=0, unsettled_micros=2 * 10**7, sales=(portioned,))
    known = trade(row(Side.SELL))
    assert follower.sees_sell(known, empty) == ()
    follower.copies[SUB] = entry_ended(follower.copy, "g", filled_micros=0)
    back = LotView(shares_micros=2 * 10**7, free_micros=2 * 10**7)
    assert [order.size_micros for order in follower.sees_sell(known, back)] == [2 * 10**7]


def test_an_exit_is_done_when_the_triggers_sale_has_settled() -> None:
    follower = Follower(subscription())
    known = trade(row(Side.SELL))
    (order,) = follower.sees_sell(known, guards(4_000_000))
    assert (order.size_micros, follower.copy.reason) == (6_000_000, Reason.ALREADY_SELLING)
    follower.copies[SUB] = entry_ended(follower.copy, "g", filled_micros=4_000_000)
    assert follower.sees_sell(known, LotView(shares_micros=6_000_000, free_micros=0)) == ()
    assert (follower.copy.reason, follower.copy.awaited) == (Reason.NONE, ())


def test_lots_of_one_wallet_have_exits_of_their_own() -> None:
    subs = [subscription(), replace(subscription(), id="sub-2")]
    lots: Mapping[str, LotView] = {
        made.id: LotView(shares_micros=10**7, free_micros=10**7) for made in subs
    }
    plan = plan_exits(trade(row(Side.SELL)), subs, {}, lots, Follower(subs[0]).context())
    assert len({order.copy_key for order in plan.orders}) == 2


def test_exit_without_a_price_uses_the_best_bid_or_waits() -> None:
    lot = LotView(shares_micros=20_000_000, free_micros=20_000_000)
    merged = trade(row(Side.SELL, price=0, held=100_000_000))
    known = Follower(subscription())
    (order,) = known.sees_sell(merged, lot)
    assert order.limit_micros == 470_000  # 0.49 less 5 %, up to the tick
    empty = Follower(subscription(), market=book(bids=()))
    assert empty.sees_sell(merged, lot) == ()
    assert empty.copies[SUB].reason is Reason.PRICE_OUT_OF_RANGE
