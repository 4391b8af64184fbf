"""Every unit is somewhere, whatever traders, the market and the chain do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from paper.clob.core.exchange import Exchange
from paper.clob.core.placement import Placement
from paper.clob.core.values import (
    HOUSE,
    ONE,
    WHOLE,
    Market,
    OrderType,
    Refusal,
    Side,
)

WALLETS = ("ann", "bob", "cy")
MARKET = Market(condition="0xc", assets=("1", "2"), fee_bps=500, tick=1)
START = 1_790_000_000_000


@dataclass
class World:
    """An exchange with three traders who have money and sets."""

    exchange: Exchange = field(default_factory=lambda: Exchange(seed=7, settles_ms=1_000))
    now: int = START
    ids: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.exchange.list_market(MARKET)
        for wallet in WALLETS:
            self.exchange.ledger.deposit(wallet, 500 * ONE)
            self.exchange.ledger.split(wallet, MARKET, 100 * ONE)

    def place(
        self, wallet: str, asset: str, side: Side, price: int, shares: int, kind: OrderType
    ) -> bool:
        """Send an order of `shares` hundredths, as a client would make its amounts."""
        size = shares * 10_000
        usdc = size * price // WHOLE
        if kind in ("FAK", "FOK"):
            usdc = usdc // 10_000 * 10_000
            size = usdc * WHOLE // price // 100 * 100 if side == "BUY" else size
            usdc = usdc if side == "BUY" else size * price // WHOLE // 100 * 100
        placed = Placement(
            id=f"0x{next(self.ids)}",
            wallet=wallet,
            asset=asset,
            side=side,
            maker_amount=usdc if side == "BUY" else size,
            taker_amount=size if side == "BUY" else usdc,
            kind=kind,
            post_only=False,
            expiration_ms=self.now + 300_000 if kind == "GTD" else None,
        )
        try:
            self.exchange.place(placed, f"key of {wallet}", self.now)
        except (Refusal, ZeroDivisionError):
            return False
        return True


class Day:
    """A random day: traders, the market's own orders, failures, wipes, and at last a resolution."""

    def __init__(self, seed: int) -> None:
        self.world = World()
        self.exchange = self.world.exchange
        self._random = Random(seed)  # noqa: S311 - the seed decides

    def step(self) -> None:
        pick = self._random
        self.world.now += pick.choice([1, 400, 1_100, 30_000])
        now = self.world.now
        self.exchange.advance(now)
        match pick.randrange(12):
            case 0 | 1:
                side: Side = pick.choice(["BUY", "SELL"])
                self.exchange.level("0xc", side, self._price(), pick.randrange(9) * 7 * ONE, now)
            case 2:
                side = pick.choice(["BUY", "SELL"])
                self.exchange.printed("0xc", side, self._price(), pick.randrange(1, 30) * ONE, now)
            case 3:
                wallet = pick.choice(WALLETS)
                for order in self.exchange.resting({wallet})[:2]:
                    assert self.exchange.cancel(order.id, {wallet}, now) is None
            case 4 if pick.random() < 0.3:
                self.exchange.settlement.fail_next = pick.randrange(1, 4)
            case 5 if pick.random() < 0.1:
                self.exchange.wipe("0xc", "CANCELED", now)
            case 6 if pick.random() < 0.2:
                self.exchange.change_tick("0xc", pick.choice([1, 10]), now)
            case _:
                self._order()

    def _order(self) -> None:
        pick = self._random
        self.world.place(
            pick.choice(WALLETS),
            pick.choice(MARKET.assets),
            pick.choice(["BUY", "SELL"]),
            self._price(),
            pick.randrange(500, 4_000),
            pick.choice(["GTC", "GTC", "GTD", "FAK", "FOK"]),
        )

    def _price(self) -> int:
        return self._random.randrange(4_950, 5_050)

    def end(self) -> None:
        first = self._random.choice([0, ONE, ONE // 2, 333_333])
        self.exchange.resolve("0xc", (first, ONE - first), self.world.now)


def check(exchange: Exchange) -> None:
    """Judge an exchange by its own books, each sum taken twice."""
    ledger = exchange.ledger
    assert ledger.backed() == ledger.deposited == 1_500 * ONE
    for asset in MARKET.assets:
        held = sum(size for (_, of), size in ledger.shares.items() if of == asset)
        sold = sum(
            leg.size
            for trade in exchange.trades.values()
            if trade.status in ("MATCHED", "RETRYING")
            for leg in trade.legs
            if leg.asset == asset and leg.side == "SELL"
        )
        assert held + sold == ledger.sets.get("0xc", 0)
    for wallet in WALLETS:
        for what in (None, *MARKET.assets):
            assert exchange.available(wallet, what) >= 0
    check_orders(exchange)


def check_orders(exchange: Exchange) -> None:
    """No order gives more than it signed, and what was told of trades adds up to it."""
    reported: Counter[str] = Counter()
    worth: Counter[str] = Counter()
    for trade in exchange.trades.values():
        for leg in trade.legs:
            reported[leg.order_id] += leg.size
            worth[leg.order_id] += leg.price * leg.size
    for order in exchange.orders.values():
        assert reported[order.id] == order.matched
        if order.side == "BUY":
            spends = order.budget
            assert order.paid <= (order.size * order.price // WHOLE if spends is None else spends)
            assert order.paid == -(-worth[order.id] // WHOLE)
            assert worth[order.id] <= order.price * order.matched
        else:
            assert order.matched <= order.size
            assert order.paid == worth[order.id] // WHOLE
            assert worth[order.id] >= order.price * order.matched


def check_rounding(exchange: Exchange) -> None:
    """Rounding is against each order, and less than a unit of each."""
    settled = [trade for trade in exchange.trades.values() if trade.status != "FAILED"]
    orders = {leg.order_id for trade in settled for leg in trade.legs}
    failed = sum(len(trade.legs) for trade in exchange.trades.values() if trade.status == "FAILED")
    # What fails takes its part of an order's rounding along.
    assert -failed <= exchange.ledger.rounding <= len(orders) + failed + 2 * len(WALLETS)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_every_unit_is_somewhere(seed: int) -> None:
    day = Day(seed)
    for _ in range(150):
        day.step()
        check(day.exchange)
    day.end()
    check(day.exchange)
    check_rounding(day.exchange)
    assert {trade.status for trade in day.exchange.trades.values()} <= {"CONFIRMED", "FAILED"}
    assert not day.exchange.ledger.under_way
    assert not any(day.exchange.ledger.shares.values())


def test_the_days_are_dense() -> None:
    """What the test above judges happens in it."""
    days = [Day(seed) for seed in range(3)]
    for day in days:
        for _ in range(150):
            day.step()
        day.end()
    trades = [trade for day in days for trade in day.exchange.trades.values()]
    assert len(trades) > 100
    assert {trade.status for trade in trades} == {"CONFIRMED", "FAILED"}
    assert any(HOUSE in (leg.wallet for leg in trade.makers) for trade in trades)
    assert any(trade.taker.wallet == HOUSE for trade in trades)
    assert any(leg.side == trade.taker.side for trade in trades for leg in trade.makers)
    assert any(day.exchange.ledger.rounding for day in days)
    assert any(day.exchange.ledger.fees for day in days)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_a_day_replays_the_same(seed: int) -> None:
    first, again = Day(seed), Day(seed)
    for day in (first, again):
        for _ in range(100):
            day.step()
    assert repr(first.exchange.happenings) == repr(again.exchange.happenings)
    assert first.exchange.happenings


def test_an_order_that_two_levels_meet_is_one_maker_of_the_trade() -> None:
    """A client knows a fill by trade and order: two makers of one order would be one fill to it."""
    world = World()
    world.place("ann", "1", "BUY", 5_000, 2_000, "GTC")

    world.exchange.snapshot("0xc", [], [(4_900, 5 * ONE), (5_000, 7 * ONE)], world.now)

    (trade,) = world.exchange.trades.values()
    assert [(leg.wallet, leg.size) for leg in trade.makers] == [("ann", 12 * ONE)]
