"""Whole values that tests change in the one place they are about."""

from __future__ import annotations

from collections.abc import Sequence

from tradingtools.domain.book import Book, BookStatus, Level, LevelColumns, Market
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Follower, Order, Purpose, TimeInForce
from tradingtools.domain.subscription import SizingMode, Subscription, SubscriptionState

CONDITION = "0x" + "c" * 64
LEADER = "0x" + "b" * 40
TX = "0x" + "a" * 64
FOLLOWER = Follower(user_id="user", wallet_id="wallet", proxy="0x" + "2" * 40)


def order() -> Order:
    """An entry of 5 shares at 0.5."""
    return Order(
        order_key="0" * 64,
        copy_key="1" * 64,
        ordinal=0,
        purpose=Purpose.ENTRY,
        subscription_id="sub-1",
        subscription_version=1,
        trigger_id="",
        follower=FOLLOWER,
        leader=LEADER,
        leader_tx=TX,
        condition_id=CONDITION,
        asset_id="7",
        side=Side.BUY,
        size_micros=5_000_000,
        limit_micros=500_000,
        time_in_force=TimeInForce.FAK,
        not_after_ms=1_000,
        body="{}",
        reserved_money_micros=2_500_000,
        reserved_shares_micros=0,
    )


def subscription() -> Subscription:
    """Ten USDC a copy, without limits."""
    return Subscription(
        id="sub-1",
        follower=FOLLOWER,
        leader=LEADER,
        state=SubscriptionState.ACTIVE,
        version=1,
        sizing_mode=SizingMode.FIXED,
        sizing_micros=10_000_000,
    )


def as_reported(levels: Sequence[Level]) -> LevelColumns:
    """Levels in the shape in which marks bring them."""
    return LevelColumns([price for price, _ in levels], [size for _, size in levels])


def book(
    *,
    bids: tuple[Level, ...] = ((490_000, 10**12),),
    asks: tuple[Level, ...] = ((500_000, 10**12),),
    tick: int = 10_000,
    minimum: int = 5_000_000,
    status: BookStatus = BookStatus.FRESH,
    closed: bool = False,
    payout: int | None = None,
    fee_rate: int = 0,
    category: str = "other",
    end_ms: int | None = None,
) -> Book:
    """A deep, fresh book around 0.5."""
    market = Market(
        asset_id="7",
        condition_id=CONDITION,
        tick_micros=tick,
        min_size_micros=minimum,
        fee_rate_micros=fee_rate,
        closed=closed,
        payout_micros=payout,
        category=category,
        end_ms=end_ms,
    )
    return Book(
        market=market, status=status, bids=as_reported(bids), asks=as_reported(asks), book_ms=0
    )
