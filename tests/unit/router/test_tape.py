"""The whole sample tape decided twice: by the router's core and by a plain reference.

The reference is written from the rules in words, in fractions, and shares no code with the core
but the words themselves. Every order is taken to fill whole at its reservation.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, floor

import pytest
from msgspec import structs

from paper.venue.tape import SAMPLE
from services.router.core.entry_plan import plan_entries
from services.router.core.exit_plan import plan_exits
from services.router.core.ledger import OpenEntry
from services.router.core.records import Context, LotView
from services.router.core.router_state import RouterState
from tests.unit.samples import book, subscription
from tradingtools.domain.book import Book
from tradingtools.domain.copy_settings import (
    BelowMinimum,
    CopySettings,
    ExitMode,
    OppositeSide,
    Sides,
    Tier,
)
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, Source, TradeKey, merge
from tradingtools.domain.money import MICROS, parse_exact, parse_rounded
from tradingtools.domain.subscription import SizingMode, Subscription
from tradingtools.venues.insiders.order_body import order_body

from importlib.resources import files  # isort: skip

CATEGORIES = ("sports", "crypto", "politics")
FEES = {"sports": 50_000, "crypto": 70_000, "politics": 40_000}
EQUITY, LEADER_EQUITY = 2_000_000_000, 5_000_000_000
DAY_MS = 86_400_000


def tape() -> Iterator[LeaderTrade]:
    """The trades of the tape, whole, in the order in which they were first seen."""
    trades: dict[TradeKey, LeaderTrade] = {}
    seen: defaultdict[tuple[TradeKey, str, int], int] = defaultdict(int)
    for line in files("paper.venue").joinpath("sample", SAMPLE).read_text().splitlines():
        body = json.loads(line, parse_float=str, parse_int=str)["frame"]["payload"]
        key = TradeKey(
            leader_tx=body["transactionHash"],
            leader=body["proxyWallet"],
            asset_id=body["asset"],
            side=Side(body["side"]),
        )
        size = parse_exact(body["size"])
        seen[key, body["price"], size] += 1
        fact = LeaderRow(
            key=key,
            condition_id=body["conditionId"],
            price_text=body["price"],
            price_micros=parse_rounded(body["price"]),
            size_micros=size,
            count=seen[key, body["price"], size],
            source=Source.FEED,
            traded_ms=int(body["timestamp"]) * 1000,
            received_ns=0,
            held_before_micros=None,
            leader_equity_micros=LEADER_EQUITY,
        )
        trades[key] = merge(trades.get(key), fact) or trades[key]
    yield from trades.values()


def market_of(trade: LeaderTrade) -> Book:
    """A market made up from the trade alone: its category, tick, end and book."""
    number = int(trade.condition_id[-4:], 16)
    category = CATEGORIES[number % 3]
    tick = (1_000, 10_000)[number % 2]
    price = trade.notional_micros * MICROS // trade.size_micros
    ask = min(max(price // tick + number % 4, 2), MICROS // tick - 1) * tick
    depth = 1_000_000 * (5 + number % 300)
    made = book(
        bids=((ask - tick, depth),),
        asks=((ask, depth),),
        tick=tick,
        fee_rate=FEES[category],
        category=category,
        end_ms=trade.traded_ms + (number % 50) * 60_000 if number % 10 else None,
    )
    return structs.replace(made, market=replace(made.market, condition_id=trade.condition_id))


def usd(text: str) -> int:
    return parse_exact(text)


TIERS = (
    Tier(from_micros=usd("5"), fixed_micros=usd("4")),
    Tier(from_micros=usd("50"), ratio_micros=usd("0.1")),
    Tier(from_micros=usd("500"), fixed_micros=usd("60")),
)
PROFILES: dict[str, Subscription] = {
    "fixed": replace(subscription(), sizing_micros=usd("10")),
    "ratio, per trade": replace(
        subscription(), sizing_mode=SizingMode.RATIO, sizing_micros=usd("0.05"),
        max_per_trade_micros=usd("20"), settings=CopySettings(multiplier_micros=usd("1.5")),
    ),
    "proportional": replace(
        subscription(), sizing_mode=SizingMode.PROPORTIONAL, sizing_micros=0,
        settings=CopySettings(max_per_leader_micros=usd("900")),
    ),
    "tiers": replace(
        subscription(), sizing_mode=SizingMode.TIERS, sizing_micros=0,
        settings=CopySettings(tiers=TIERS, max_total_micros=usd("700")),
    ),
    "round up": replace(
        subscription(), sizing_mode=SizingMode.RATIO, sizing_micros=usd("0.01"),
        max_per_market_micros=usd("15"),
        settings=CopySettings(below_minimum=BelowMinimum.ROUND_UP),
    ),
    "accumulate": replace(
        subscription(), sizing_mode=SizingMode.RATIO, sizing_micros=usd("0.01"),
        settings=CopySettings(below_minimum=BelowMinimum.ACCUMULATE),
    ),
    "per day": replace(
        subscription(), settings=CopySettings(max_per_day_micros=usd("120"), max_positions=9),
    ),
    "filters": replace(
        subscription(), max_slippage_micros=usd("0.01"),
        settings=CopySettings(
            min_price_micros=usd("0.1"), max_price_micros=usd("0.8"),
            min_leader_micros=usd("20"), categories_allowed=("sports", "crypto"),
            min_seconds_to_end=600, max_buys_per_outcome=3, max_spread_micros=usd("0.005"),
            min_depth_micros=usd("0.9"),
        ),
    ),
    "first outcome only": replace(
        subscription(),
        settings=CopySettings(
            opposite_side=OppositeSide.FIRST_ONLY, exit_mode=ExitMode.NONE,
            categories_denied=("politics",),
        ),
    ),
    "one side": replace(
        subscription(),
        settings=CopySettings(opposite_side=OppositeSide.SKIP, sides=Sides.BUYS),
    ),
    "shadow": replace(subscription(), settings=CopySettings(shadow=True)),
}  # fmt: skip


def f(micros: int) -> Fraction:
    return Fraction(micros, MICROS)


@dataclass
class Reference:
    """One follower's holdings and spending, and the rules in words."""

    made: Subscription
    cost: dict[tuple[str, str], Fraction] = field(default_factory=dict)
    shares: dict[tuple[str, str], Fraction] = field(default_factory=dict)
    days: defaultdict[int, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    buys: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    left: defaultdict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    leader: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def price(self, size: Fraction, limit: Fraction, rate: Fraction) -> Fraction:
        worst = limit if limit < Fraction(1, 2) else Fraction(1, 2)
        fee = Fraction(ceil(size * rate * worst * (1 - worst) * 100_000), 100_000)
        return Fraction(ceil(size * limit * MICROS), MICROS) + fee

    def buy(self, trade: LeaderTrade, market: Book) -> tuple[str, Fraction, Fraction]:
        condition, asset = trade.condition_id, trade.key.asset_id
        spent = f(trade.notional_micros)
        average = f(trade.notional_micros * MICROS // trade.size_micros)
        prices = [f(row.price_micros) for row in trade.rows.values()]
        price = min(max(average, min(prices)), max(prices))
        reason = self.refused(trade, market, price)
        if reason:
            return reason, Fraction(0), Fraction(0)
        limit = self.limit(price, f(market.market.tick_micros))
        money = self.desired(spent)
        if limit <= 0 or money is None:
            return ("PRICE_OUT_OF_RANGE" if limit <= 0 else "NO_TIER"), Fraction(0), limit * 0
        caps = list(self.caps(condition, trade.traded_ms // DAY_MS))
        rate = f(market.market.fee_rate_micros)
        room, bound = money + self.left[asset], ""
        for name, free in caps:
            if free < room:
                room, bound = free, name
        size, least = self.most(room, limit, rate), f(market.market.min_size_micros)
        if size < least:
            need = self.price(least, limit, rate)
            short = sorted((free, name) for name, free in caps if free < need)
            reason = bound or self.small(asset, money, room, short)
            if reason:
                return reason, Fraction(0), Fraction(0)
            size = least
        reason, size = self.on_book(market, size, limit, bound)
        if size:
            self.left[asset] = Fraction(0)
        return reason, size, limit if size else Fraction(0)

    def limit(self, price: Fraction, tick: Fraction) -> Fraction:
        s, slip = self.made.settings, Fraction(3, 100)
        if self.made.max_slippage_micros is not None:
            slip = f(self.made.max_slippage_micros)
        highest = min(price * (1 + slip), 1 - tick)
        if s.max_price_micros is not None:
            highest = min(highest, f(s.max_price_micros))
        return floor(highest / tick) * tick

    def small(
        self, asset: str, money: Fraction, room: Fraction, short: list[tuple[Fraction, str]]
    ) -> str:
        policy = self.made.settings.below_minimum
        if policy is BelowMinimum.ACCUMULATE:
            self.left[asset] += money
            return "ACCUMULATING"
        if policy is BelowMinimum.SKIP or room <= 0:
            return "BELOW_MINIMUM"
        return short[0][1] if short else ""

    def on_book(
        self, market: Book, size: Fraction, limit: Fraction, bound: str
    ) -> tuple[str, Fraction]:
        ask, there = (f(number) for number in market.asks[0])
        if ask > limit:
            return "SLIPPAGE", Fraction(0)
        least = self.made.settings.min_depth_micros
        part = Fraction(1, 2) if least is None else f(least)
        if there < size * part or there < f(market.market.min_size_micros):
            return "THIN_BOOK", Fraction(0)
        if there < size:
            return "THIN_BOOK", floor(there * 100) / Fraction(100)
        return bound, size

    def most(self, money: Fraction, limit: Fraction, rate: Fraction) -> Fraction:
        if money <= 0:
            return Fraction(0)
        hundredths = floor(money / limit * 100)
        while hundredths and self.price(Fraction(hundredths, 100), limit, rate) > money:
            # The fee is at most a tenth of the price here; come down in big steps, then in small.
            over = self.price(Fraction(hundredths, 100), limit, rate) - money
            hundredths -= max(1, floor(over / (limit + rate) * 100) - 1)
        return Fraction(hundredths, 100)

    def desired(self, spent: Fraction) -> Fraction | None:
        mode, given = self.made.sizing_mode, f(self.made.sizing_micros)
        if mode is SizingMode.RATIO:
            given *= spent
        if mode is SizingMode.PROPORTIONAL:
            given = spent * EQUITY / LEADER_EQUITY
        if mode is SizingMode.TIERS:
            if spent < 5:
                return None
            given = Fraction(4) if spent < 50 else spent / 10 if spent < 500 else Fraction(60)
        given = Fraction(floor(given * MICROS), MICROS)
        if self.made.settings.multiplier_micros:
            given = given * f(self.made.settings.multiplier_micros)
        return Fraction(floor(given * MICROS), MICROS)

    def caps(self, condition: str, day: int) -> Iterator[tuple[str, Fraction]]:
        made, s = self.made, self.made.settings
        if made.max_per_trade_micros is not None:
            yield "CAP_PER_TRADE", f(made.max_per_trade_micros)
        if made.max_per_market_micros is not None:
            yield "CAP_PER_MARKET", f(made.max_per_market_micros) - self.spent(condition)
        if s.max_per_leader_micros is not None:
            yield "CAP_PER_LEADER", f(s.max_per_leader_micros) - self.spent()
        if s.max_total_micros is not None:
            yield "CAP_TOTAL", f(s.max_total_micros) - self.spent()
        if s.max_per_day_micros is not None:
            yield "CAP_PER_DAY", f(s.max_per_day_micros) - self.days[day]

    def spent(self, condition: str = "") -> Fraction:
        """In one market, or in all."""
        costs = (c for (which, _), c in self.cost.items() if condition in ("", which))
        return sum(costs, Fraction(0))

    def refused(self, trade: LeaderTrade, market: Book, price: Fraction) -> str:
        s, of = self.made.settings, market.market
        condition, asset = trade.condition_id, trade.key.asset_id
        self.leader[condition].add(asset)
        others = [which for where, which in self.cost if where == condition and which != asset]
        end = of.end_ms
        ask, bid = f(market.asks[0][0]), f(market.bids[0][0])
        rules = {
            "LEADER_TOO_SMALL": f(trade.notional_micros) < f(s.min_leader_micros or 0),
            "PRICE_BAND": price < f(s.min_price_micros or 0)
            or price > f(MICROS * 2 if s.max_price_micros is None else s.max_price_micros),
            "CATEGORY_FILTERED": of.category in s.categories_denied
            or (bool(s.categories_allowed) and of.category not in s.categories_allowed),
            "NEAR_END": s.min_seconds_to_end is not None
            and (end is None or end - trade.traded_ms < s.min_seconds_to_end * 1000),
            "OPPOSITE_SIDE": s.opposite_side is not OppositeSide.COPY
            and bool(
                others or (s.opposite_side is OppositeSide.SKIP and len(self.leader[condition]) > 1)
            ),
            "MAX_POSITIONS": s.max_positions is not None
            and (condition, asset) not in self.cost
            and len(self.cost) >= s.max_positions,
            "MAX_BUYS": s.max_buys_per_outcome is not None
            and self.buys[asset] >= s.max_buys_per_outcome,
            "SPREAD": s.max_spread_micros is not None and ask - bid > f(s.max_spread_micros),
        }
        return next((name for name, broken in rules.items() if broken), "")

    def sell(self, trade: LeaderTrade) -> tuple[str, Fraction]:
        if self.made.settings.exit_mode is ExitMode.NONE:
            return "EXITS_OFF", Fraction(0)
        if self.made.settings.sides is Sides.BUYS:
            return "SIDE_FILTERED", Fraction(0)
        held = self.shares.get((trade.condition_id, trade.key.asset_id), Fraction(0))
        # What the leader held is not known: everything goes.
        return ("", held) if held else ("NOTHING_HELD", held)


@dataclass
class Decider:
    """The core with its ledger, as the router drives it."""

    made: Subscription
    memory: RouterState = field(default_factory=RouterState)
    shares: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    cost: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def decide(self, trade: LeaderTrade, market: Book) -> tuple[str, int, int, int]:
        """Reason, size, limit and money of the decision; the order is filled at once."""
        memory, made, asset = self.memory, self.made, trade.key.asset_id
        memory.know(trade)
        now = trade.traded_ms
        context = Context(
            body_of=order_body, book=market, now_ms=now, entry_ttl_ms=1, exit_ttl_ms=1,
            exposure=lambda s: structs.replace(
                memory.exposures(trade, now)(s), equity_micros=EQUITY
            ),
            entry_owner=lambda _: None,
        )  # fmt: skip
        if trade.key.side is Side.BUY:
            plan = plan_entries(trade, [made], {}, context)
        else:
            lot = LotView(shares_micros=self.shares[asset], free_micros=self.shares[asset])
            if made.settings.shadow:
                lot = memory.paper_lot(made.id, asset)
            plan = plan_exits(trade, [made], {}, {made.id: lot}, context)
        copy = plan.copies[made.id]
        memory.note_copy(trade, copy, now)
        for order in plan.orders:
            self.fill(trade, order.copy_key, order.order_key, order.reserved_money_micros)
            signed = order.size_micros if order.side is Side.BUY else -order.size_micros
            self.shares[asset] += signed
        limit = plan.orders[0].limit_micros if plan.orders else 0
        money = plan.orders[0].reserved_money_micros if plan.orders else 0
        return copy.reason.value, copy.ordered_size_micros, limit, money

    def fill(self, trade: LeaderTrade, copy_key: str, key: str, money: int) -> None:
        ledger, made, asset = self.memory.ledger, self.made, trade.key.asset_id
        proxy = made.follower.proxy
        if trade.key.side is Side.BUY:
            ledger.reserve(
                key,
                OpenEntry(
                    subscription_id=made.id, proxy=proxy, condition_id=trade.condition_id,
                    asset_id=asset, copy_key=copy_key, money_micros=money,
                    day=trade.traded_ms // DAY_MS,
                ),
            )  # fmt: skip
            self.cost[asset] += money
        else:
            self.cost[asset] = 0
        ledger.hold(made.id, proxy, trade.condition_id, asset, self.cost[asset])
        ledger.release(key, size_micros=1, filled_micros=1)


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "shadow"])
def test_every_decision_of_the_tape_is_what_the_reference_says(name: str) -> None:
    made = PROFILES[name]
    core, reference = Decider(made), Reference(made)
    reasons: set[str] = set()
    for trade in tape():
        market, lot = market_of(trade), (trade.condition_id, trade.key.asset_id)
        found = core.decide(trade, market)
        if trade.key.side is Side.SELL:
            reason, size = reference.sell(trade)
            assert found[:2] == (reason, int(size * MICROS)), (trade, found)
            if size:
                del reference.shares[lot], reference.cost[lot]
            continue
        reason, size, limit = reference.buy(trade, market)
        money = reference.price(size, limit, f(market.market.fee_rate_micros))
        expected = (reason, *(int(value * MICROS) for value in (size, limit, money)))
        assert found == expected, (trade, market)
        reasons.add(reason)
        if size:
            reference.shares[lot] = reference.shares.get(lot, Fraction(0)) + size
            reference.cost[lot] = reference.cost.get(lot, Fraction(0)) + money
            reference.days[trade.traded_ms // DAY_MS] += money
            reference.buys[trade.key.asset_id] += 1
    # A profile that never meets its own rule proves nothing about it.
    assert "" in reasons
    assert len(reasons) > 1


def test_a_shadow_decides_as_the_real_one_and_sends_nothing() -> None:
    shadow = Decider(PROFILES["shadow"])
    sizes = [shadow.decide(trade, market_of(trade)) for trade in tape()]
    copied = [found for found in sizes if found[1]]
    assert copied
    assert {found[0] for found in copied} == {"SHADOW"}
    # No limit and no money: there was no order.
    assert {found[2:] for found in sizes} == {(0, 0)}
    bought = sum(lot.size_micros for lot in shadow.memory.paper.values())
    assert bought >= 0
    assert all(lot.size_micros >= 0 <= lot.cost_micros for lot in shadow.memory.paper.values())
