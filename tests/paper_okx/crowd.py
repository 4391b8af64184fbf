"""Random traders on the exchange's core: a seed decides everything they and the market do."""

from __future__ import annotations

from collections import deque
from random import Random

from paper.matching.values import Side
from paper.okx import listing
from paper.okx.core.amounts import ONE
from paper.okx.core.codes import Refusal
from paper.okx.core.exchange import Exchange
from paper.okx.core.happenings import Liquidated
from paper.okx.core.instruments import Instrument
from paper.okx.core.orders import OrderRequest
from paper.okx.core.world import Funding

START_MS = 1_790_000_000_000
PRICES = {"BTC": 50_000, "ETH": 2_000}
CURRENCIES = ("USDT", "BTC", "ETH")


def exchange(*names: str, cash: int = 10_000) -> Exchange:
    """An exchange with prices, and accounts in Futures mode with cash, BTC and ETH."""
    listed = listing.instruments(START_MS)
    made = Exchange(listed, listing.tiers(listed))
    for of in listed:
        ticks = PRICES[of.inst_id[:3]] * ONE // of.tick
        made.mark(of.inst_id, ticks, START_MS)
        if of.kind == "SWAP":
            made.world.funding[of.inst_id] = Funding(
                rate=100_000,
                next_rate=-70_001,
                at_ms=START_MS + 1,
                interval_ms=60_000,
                settled=deque(),
            )
    for name in names:
        made.open_account(name)
        for currency, amount in (("USDT", cash * ONE), ("BTC", ONE // 5), ("ETH", 5 * ONE)):
            made.deposit(name, currency, amount, START_MS)
    return made


class Crowd:
    """Three traders and a market."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)  # noqa: S311 - a test's dice
        self.at = exchange("ann", "bob", "cid")
        self.now_ms = START_MS
        self.refused: list[str] = []
        self.liquidated: list[Liquidated] = []

    def step(self) -> None:
        """Let one thing happen."""
        rng = self.rng
        self.now_ms += rng.randint(1, 20_000)
        what = rng.choices(
            [self._order, self._market, self._mark, self._cancel, self._amend, self._margin],
            [8, 5, 4, 1, 2, 3],
        )[0]
        of = rng.choice(list(self.at.world.instruments.values()))
        try:
            what(of)
            self.at.at(self.now_ms)
        except Refusal as refusal:
            self.refused.append(refusal.code)
        self.liquidated += [one for one in self.at.drain() if isinstance(one, Liquidated)]

    def _price(self, of: Instrument, spread: int = 30) -> int:
        mark = self.at.world.marks[of.inst_id]
        return max(1, mark * (1000 + self.rng.randint(-spread, spread)) // 1000)

    def _order(self, of: Instrument) -> None:
        rng = self.rng
        kinds = ["limit", "limit", "market", "ioc", "fok", "post_only", "optimal_limit_ioc"]
        value = rng.choice([100, 1_000, 10_000, 60_000, 400_000])
        unit = of.contract if of.inverse else of.worth(self.at.world.marks[of.inst_id])
        lots = max(of.min_lots, value * ONE // unit)
        self.at.place(
            rng.choice(["ann", "bob", "cid"]),
            OrderRequest(
                inst_id=of.inst_id,
                td_mode=rng.choice(["cross", "isolated"]) if of.is_contract else "cash",
                side=rng.choice(["buy", "sell"]),
                ord_type=rng.choice(kinds),
                sz=of.size_text(lots),
                px=of.price_text(self._price(of)),
                reduce_only=of.is_contract and rng.random() < 0.1,
                tgt_ccy="base_ccy" if rng.random() < 0.5 else "",
                stp_mode=rng.choice(["cancel_maker", "cancel_taker", "cancel_both"]),
            ),
            self.now_ms,
        )

    def _market(self, of: Instrument) -> None:
        sides: tuple[Side, Side] = ("buy", "sell")
        side = self.rng.choice(sides)
        price, lots = self._price(of, 10), self.rng.randint(0, 10**5) * of.min_lots
        if self.rng.random() < 0.5:
            self.at.market_level(of.inst_id, side, price, lots, self.now_ms)
        elif lots:
            self.at.market_print(of.inst_id, side, price, lots, self.now_ms)

    def _mark(self, of: Instrument) -> None:
        jump = self.rng.choice([10, 30, 100, 500])
        self.at.mark(of.inst_id, self._price(of, jump), self.now_ms)

    def _some(self) -> tuple[str, str, str, Instrument] | None:
        orders = list(self.at.world.orders.values())
        if not orders:
            return None
        one = self.rng.choice(orders)
        return one.owner, one.instrument.inst_id, one.ord_id, one.instrument

    def _cancel(self, _: Instrument) -> None:
        some = self._some()
        if some:
            self.at.cancel(some[0], some[1], some[2], "", self.now_ms)

    def _amend(self, _: Instrument) -> None:
        some = self._some()
        if some:
            owner, inst_id, ord_id, of = some
            lots = of.min_lots * self.rng.randint(1, 10**4)
            self.at.amend(
                owner,
                inst_id,
                ord_id,
                "",
                size=self.rng.choice(["", of.size_text(lots)]),
                price=self.rng.choice(["", of.price_text(self._price(of))]),
                cancel_on_fail=self.rng.random() < 0.2,
                now_ms=self.now_ms,
            )

    def _margin(self, of: Instrument) -> None:
        name = self.rng.choice(["ann", "bob", "cid"])
        if self.rng.random() < 0.7:
            mode = self.rng.choice(["cross", "isolated"])
            leverage = self.rng.choice([1, 3, 10, 50, 100])
            self.at.set_leverage(name, of.inst_id, mode, leverage, self.now_ms)
        else:
            amount = self.rng.randint(-200, 200) * ONE // (10**4 if of.inverse else 1)
            self.at.move_margin(name, of.inst_id, amount, self.now_ms)
