"""The ends of markets and orders: expiry, tick, game start, resolution, restart, a failed trade."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paper.clob.core.exchange import Exchange
from paper.clob.core.placement import Placement
from paper.clob.core.values import (
    ONE,
    WHOLE,
    Market,
    MarketResolved,
    OrderType,
    OrderUpdate,
    Refusal,
    Side,
    TickChanged,
    TradeUpdate,
)

NOW = 1_790_000_000_000
MARKET = Market(condition="0xc", assets=("1", "2"))
WALLETS = ("ann", "bob")


class World:
    """An exchange with one market, and two wallets with money and sets."""

    def __init__(self, market: Market = MARKET) -> None:
        self.exchange = Exchange(seed=1, settles_ms=1_000)
        self.exchange.list_market(market)
        self.count = 0
        for wallet in WALLETS:
            self.exchange.ledger.deposit(wallet, 200 * ONE)
            self.exchange.ledger.split(wallet, market, 100 * ONE)

    def place(
        self,
        wallet: str,
        side: Side,
        price: int,
        shares: int,
        *,
        kind: OrderType = "GTC",
        asset: str = "1",
        post_only: bool = False,
        now: int = NOW,
        expiration_ms: int | None = None,
    ) -> str:
        self.count += 1
        size = shares * ONE
        usdc = size * price // WHOLE
        placed = Placement(
            id=f"0x{self.count}",
            wallet=wallet,
            asset=asset,
            side=side,
            maker_amount=usdc if side == "BUY" else size,
            taker_amount=size if side == "BUY" else usdc,
            kind=kind,
            post_only=post_only,
            expiration_ms=expiration_ms,
        )
        return self.exchange.place(placed, wallet, now).order.id

    def status(self, order_id: str) -> str:
        return self.exchange.orders[order_id].status

    def reported(self, kind: type) -> list[object]:
        return [one for one in self.exchange.happenings if isinstance(one, kind)]


def test_a_gtd_order_ends_a_minute_before_its_expiration() -> None:
    world = World()
    gtd = world.place("ann", "BUY", 4_000, 10, kind="GTD", expiration_ms=NOW + 200_000)
    world.exchange.advance(NOW + 139_999)
    assert world.status(gtd) == "LIVE"
    world.exchange.advance(NOW + 140_000)
    assert world.status(gtd) == "CANCELED_EXPIRED_ORDER"
    assert world.exchange.available("ann", None) == 100 * ONE
    with pytest.raises(Refusal, match="invalid expiration"):
        world.place("ann", "BUY", 4_000, 10, kind="GTD", expiration_ms=NOW + 179_999)


def test_orders_off_a_new_tick_are_ended() -> None:
    world = World(replace(MARKET, tick=10))
    off = world.place("ann", "BUY", 4_010, 10)
    on = world.place("ann", "BUY", 4_100, 10)
    world.exchange.change_tick("0xc", 100, NOW)
    assert (world.status(off), world.status(on)) == ("CANCELED", "LIVE")
    assert [
        reported.old
        for reported in world.reported(TickChanged)
        if isinstance(reported, TickChanged)
    ] == [10]
    with pytest.raises(Refusal, match="breaks minimum tick size rule"):
        world.place("ann", "BUY", 4_010, 10)


def test_the_book_is_wiped_when_the_game_starts() -> None:
    world = World(replace(MARKET, game_start_ms=NOW + 5_000))
    before = world.place("ann", "BUY", 4_000, 10)
    world.exchange.advance(NOW + 4_999)
    assert world.status(before) == "LIVE"
    world.exchange.advance(NOW + 5_000)
    assert world.status(before) == "CANCELED"
    after = world.place("ann", "BUY", 4_000, 10, now=NOW + 6_000)
    world.exchange.advance(NOW + 7_000)
    assert world.status(after) == "LIVE"  # once


@pytest.mark.parametrize("payouts", [(ONE, 0), (0, ONE), (ONE // 2, ONE // 2)])
def test_a_resolved_market_pays_and_takes_nothing_more(payouts: tuple[int, int]) -> None:
    world = World()
    resting = world.place("ann", "BUY", 4_000, 10)
    world.place("ann", "SELL", 5_000, 40)
    world.place("bob", "BUY", 5_000, 40)
    world.exchange.resolve("0xc", payouts, NOW)
    assert world.status(resting) == "CANCELED_MARKET_RESOLVED"
    ledger = world.exchange.ledger
    # 60 and 140 of the first, 100 of the second, and 20 USDC from hand to hand.
    assert ledger.usdc["ann"] == 120 * ONE + 60 * payouts[0] + 100 * payouts[1]
    assert ledger.usdc["bob"] == 80 * ONE + 140 * payouts[0] + 100 * payouts[1]
    assert ledger.backed() == ledger.deposited
    assert world.reported(MarketResolved)
    with pytest.raises(Refusal, match="not yet ready"):
        world.place("ann", "BUY", 4_000, 10)


def test_a_restart_takes_nothing_and_then_post_only_orders_alone() -> None:
    world = World()
    world.exchange.phases.restart(5_000, 120_000, NOW)
    with pytest.raises(Refusal) as down:
        world.place("ann", "BUY", 4_000, 10, post_only=True, now=NOW + 4_999)
    assert (down.value.status, down.value.more) == (425, {"retry_after": 1})
    assert world.place("ann", "BUY", 4_000, 10, post_only=True, now=NOW + 5_000)
    with pytest.raises(Refusal, match="post-only mode") as mode:
        world.place("ann", "BUY", 4_000, 10, now=NOW + 5_000)
    assert mode.value.status == 503
    assert mode.value.more == {"code": "post_only_mode", "retry_after_seconds": 120}
    assert world.place("ann", "BUY", 4_000, 10, now=NOW + 125_000)


def test_what_was_bought_cannot_be_sold_before_it_is_settled() -> None:
    world = World()
    world.place("bob", "SELL", 5_000, 100)
    world.place("ann", "BUY", 5_000, 100)
    with pytest.raises(Refusal, match="not enough balance"):
        world.place("ann", "SELL", 6_000, 101)
    world.exchange.advance(NOW + 1_000)
    assert world.place("ann", "SELL", 6_000, 101, now=NOW + 1_000)


def test_a_trade_that_fails_gives_everything_back_and_is_told() -> None:
    world = World()
    world.exchange.settlement.fail_next = 1
    sold = world.place("bob", "SELL", 5_000, 40)
    bought = world.place("ann", "BUY", 5_000, 40)
    assert (world.status(sold), world.status(bought)) == ("MATCHED", "MATCHED")
    for ms in (1_000, 2_000, 3_000):
        world.exchange.advance(NOW + ms)
    reported = [
        one.trade.status for one in world.reported(TradeUpdate) if isinstance(one, TradeUpdate)
    ]
    assert reported == ["MATCHED", "RETRYING", "FAILED"]
    for wallet in WALLETS:
        assert world.exchange.ledger.usdc[wallet] == 100 * ONE
        assert world.exchange.ledger.shares[wallet, "1"] == 100 * ONE


def test_a_delayed_order_is_held_cannot_be_cancelled_and_is_judged_again() -> None:
    world = World(replace(MARKET, seconds_delay=3))
    world.place("bob", "SELL", 5_000, 40)
    taker = world.place("ann", "BUY", 5_000, 40)
    assert world.status(taker) == "DELAYED"
    assert "can't be canceled" in str(world.exchange.cancel(taker, {"ann"}, NOW))
    world.exchange.advance(NOW + 2_999)
    assert world.status(taker) == "DELAYED"
    world.exchange.advance(NOW + 3_000)
    assert world.status(taker) == "MATCHED"
    poor = world.place("ann", "BUY", 9_000, 80)
    assert world.status(poor) == "LIVE"  # nothing to take: it rests at once


def test_price_then_time_decides_who_is_served() -> None:
    world = World()
    late = world.place("bob", "SELL", 5_000, 10)
    later = world.place("bob", "SELL", 5_000, 10)
    best = world.place("bob", "SELL", 4_900, 10)
    other = world.place("bob", "BUY", 5_200, 10, asset="2")  # as good as a seller at 0.48
    world.place("ann", "BUY", 5_000, 35)
    served = [leg.order_id for trade in world.exchange.trades.values() for leg in trade.makers]
    assert served == [other, best, late, later]
    assert world.exchange.orders[later].matched == 5 * ONE
    changes = [
        (one.order.id, one.what, one.order.status)
        for one in world.exchange.happenings
        if isinstance(one, OrderUpdate) and one.order.id == best
    ]
    assert changes == [(best, "PLACEMENT", "LIVE"), (best, "UPDATE", "MATCHED")]


def test_queues_behind_the_market_are_served_by_its_prints() -> None:
    world = World()
    world.exchange.level("0xc", "BUY", 4_000, 20 * ONE, NOW)
    ours = world.place("ann", "BUY", 4_000, 10)
    world.exchange.printed("0xc", "SELL", 4_000, 15 * ONE, NOW)
    assert world.exchange.orders[ours].matched == 0
    world.exchange.printed("0xc", "SELL", 4_000, 9 * ONE, NOW)
    assert world.exchange.orders[ours].matched == 4 * ONE
