"""The money that the router sizes by without a read: lots, reservations, days, budgets.

It is rebuilt from PostgreSQL on start and kept by own claims and confirm's bookings. A reservation
is released only when its order has ended and the fills are in the lot: for a moment both count,
which is against taking risk. Every sum is kept as it changes, so that a fan-out never scans.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import msgspec

from services.router.core.caps import Exposure
from tradingtools.domain.subscription import Subscription

DAY_MS = 86_400_000
BUY_DAYS = 90
"""How long a buy counts against the cap on buys of an outcome: what is remembered has a bound."""

K = TypeVar("K")
LotKey = tuple[str, str]
"""Subscription and asset."""

_NOTHING: Mapping[str, int] = MappingProxyType({})


class OpenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry whose reservation stands."""

    subscription_id: str
    proxy: str
    condition_id: str
    asset_id: str
    copy_key: str
    money_micros: int
    day: int
    """UTC day of the claim, counted from the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The cost basis of a lot, USDC micros."""

    proxy: str
    condition_id: str
    cost_micros: int


class Ledger:
    """The money of one partition's followers."""

    def __init__(self) -> None:
        self._open: dict[str, OpenEntry] = {}
        self._open_by_lot: dict[LotKey, set[str]] = {}
        self._held: dict[LotKey, Holding] = {}
        self._sums: dict[tuple[str, ...], int] = {}
        self._outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._markets: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._days: Counter[tuple[str, int]] = Counter()
        self._buys: defaultdict[LotKey, Counter[str]] = defaultdict(Counter)
        self._buys_of: defaultdict[int, set[tuple[LotKey, str]]] = defaultdict(set)
        self._bought_before: Counter[LotKey] = Counter()
        """Copies that cannot grow any more."""
        self._bought_before_of: defaultdict[int, Counter[LotKey]] = defaultdict(Counter)
        self._funded: dict[str, int] = {}
        self._cash: Counter[str] = Counter()
        self._wallets: dict[str, int] = {}
        self._accrued: Counter[LotKey] = Counter()
        self._reserved: Counter[str] = Counter()

    def reserve(self, order_key: str, entry: OpenEntry) -> None:
        """Note a claimed entry; noting it twice changes nothing."""
        if order_key in self._open:
            return
        self._open[order_key] = entry
        lot = (entry.subscription_id, entry.asset_id)
        self._open_by_lot.setdefault(lot, set()).add(order_key)
        self._count(lot, entry.proxy, entry.condition_id, entry.money_micros, +1)
        self._reserved[entry.proxy] += entry.money_micros
        self._days[entry.subscription_id, entry.day] += entry.money_micros
        self._buy(lot, entry.copy_key, entry.day)

    def release(self, order_key: str, *, size_micros: int, filled_micros: int) -> None:
        """Note that an order has ended; releasing twice changes nothing.

        Args:
            order_key: of the order.
            size_micros: of the order.
            filled_micros: of it that stand.
        """
        entry = self._open.pop(order_key, None)
        if entry is None:
            return
        lot = (entry.subscription_id, entry.asset_id)
        self._open_by_lot[lot].discard(order_key)
        if not self._open_by_lot[lot]:
            del self._open_by_lot[lot]
        self._count(lot, entry.proxy, entry.condition_id, -entry.money_micros, -1)
        self._reserved[entry.proxy] -= entry.money_micros
        unspent = entry.money_micros - spent_at_most(entry.money_micros, size_micros, filled_micros)
        self._days[entry.subscription_id, entry.day] -= unspent
        if filled_micros == 0:
            self.not_bought(*lot, entry.copy_key)

    def hold(
        self, subscription_id: str, proxy: str, condition_id: str, asset_id: str, cost_micros: int
    ) -> None:
        """Set what the shares of a lot cost; absolute, so that repeating changes nothing."""
        lot = (subscription_id, asset_id)
        before = self._held.pop(lot, None)
        if before is not None:
            self._count(lot, before.proxy, before.condition_id, -before.cost_micros, -1)
        if cost_micros:
            self._held[lot] = Holding(
                proxy=proxy, condition_id=condition_id, cost_micros=cost_micros
            )
            self._count(lot, proxy, condition_id, cost_micros, +1)

    def holds(self, subscription_id: str, asset_id: str) -> bool:
        """Return whether a lot has shares."""
        return (subscription_id, asset_id) in self._held

    def _count(
        self, lot: LotKey, proxy: str, condition_id: str, money_micros: int, number: int
    ) -> None:
        subscription_id, asset_id = lot
        for key in ((subscription_id,), (subscription_id, condition_id), ("", proxy)):
            found = self._sums.get(key, 0) + money_micros
            if found:
                self._sums[key] = found
            else:
                self._sums.pop(key, None)
        _number(self._outcomes, subscription_id, asset_id, number)
        _number(self._markets, (subscription_id, condition_id), asset_id, number)

    def spent(self, subscription_id: str, day: int, money_micros: int) -> None:
        """Take over what ended entries of a day cost at most; for a rebuilt ledger."""
        self._days[subscription_id, day] += money_micros

    def bought(
        self, subscription_id: str, asset_id: str, copy_key: str, day: int, number: int = 1
    ) -> None:
        """Take over ended entries that filled; for a rebuilt ledger.

        Args:
            subscription_id: whose.
            asset_id: of the outcome.
            copy_key: of the copy; empty: they are of as many copies, which cannot grow any more.
            day: of the first one, UTC, counted from the epoch.
            number: of entries.
        """
        lot = (subscription_id, asset_id)
        if copy_key:
            self._buy(lot, copy_key, day, number)
            return
        self._bought_before[lot] += number
        self._bought_before_of[day][lot] += number

    def not_bought(self, subscription_id: str, asset_id: str, copy_key: str) -> None:
        """Undo the count of a buy that bought nothing."""
        self._buys[subscription_id, asset_id][copy_key] -= 1

    def _buy(self, lot: LotKey, copy_key: str, day: int, number: int = 1) -> None:
        self._buys[lot][copy_key] += number
        self._buys_of[day].add((lot, copy_key))

    def forget_ended(self) -> None:
        """Reset days, buys and accruals to those of open entries: a rebuild follows."""
        self._days.clear()
        self._buys.clear()
        self._buys_of.clear()
        self._bought_before.clear()
        self._bought_before_of.clear()
        self._accrued.clear()
        for entry in self._open.values():
            self._days[entry.subscription_id, entry.day] += entry.money_micros
            self._buy((entry.subscription_id, entry.asset_id), entry.copy_key, entry.day)

    def fund(self, proxy: str, funded_micros: int) -> None:
        """Set the sum of a wallet's fundings."""
        self._funded[proxy] = funded_micros

    def funded(self, proxy: str) -> bool:
        """Return whether a wallet was ever given a budget."""
        return proxy in self._funded

    def funded_wallets(self) -> tuple[str, ...]:
        """Return all wallets that were ever given a budget."""
        return tuple(self._funded)

    def cash(self, cash_account: str, moved_micros: int) -> None:
        """Set what trading has brought (less than zero: cost) a purse in money so far."""
        self._cash[cash_account] = moved_micros

    def wallet(self, proxy: str, cash_micros: int) -> None:
        """Set a wallet's cash as insiders-api reported it, moved by what was booked since."""
        self._wallets[proxy] = cash_micros

    def wallet_known(self, proxy: str) -> bool:
        """Return whether insiders-api has reported a wallet."""
        return proxy in self._wallets

    def accrue(self, subscription_id: str, asset_id: str, change_micros: int) -> None:
        """Add to what copies that were too small left to the next ones of the outcome."""
        self._accrued[subscription_id, asset_id] += change_micros

    def forget_days_before(self, day: int) -> None:
        """Drop what no cap looks at any more: what earlier days cost, and buys long ago."""
        for key in [key for key in self._days if key[1] < day]:
            del self._days[key]
        for old in [known for known in self._buys_of if known <= day - BUY_DAYS]:
            for lot, copy_key in self._buys_of.pop(old):
                self._buys[lot].pop(copy_key, None)
                if not self._buys[lot]:
                    del self._buys[lot]
        for old in [known for known in self._bought_before_of if known <= day - BUY_DAYS]:
            for lot, number in self._bought_before_of.pop(old).items():
                self._bought_before[lot] -= number
                if not self._bought_before[lot]:
                    del self._bought_before[lot]

    @staticmethod
    def cash_account_of(subscription: Subscription) -> str:
        """Return whose money a copy takes: the wallet's, or a shadow's own, so that paper never
        uses what real copies may spend."""
        proxy = subscription.follower.proxy
        return f"paper:{subscription.id}" if subscription.settings.shadow else proxy

    def exposure(
        self,
        subscription: Subscription,
        condition_id: str,
        asset_id: str,
        now_ms: int,
        *,
        leader_on_both: bool = False,
    ) -> Exposure:
        """Return everything that limits a subscription's entry into one outcome."""
        proxy, lot = subscription.follower.proxy, (subscription.id, asset_id)
        cash_account = self.cash_account_of(subscription)
        outcomes = self._outcomes.get(subscription.id, _NOTHING)
        market = self._markets.get((subscription.id, condition_id), _NOTHING)
        sums, buys = self._sums, self._buys.get(lot)
        total, reserved = sums.get(("", cash_account), 0), self._reserved.get(cash_account, 0)
        budget = equity = None
        # A shadow takes no money out of the wallet.
        cash = self._wallets.get(cash_account)
        free = None if cash is None else cash - reserved
        if proxy in self._funded:
            cash = self._funded[proxy] + self._cash[cash_account]
            budget = cash - reserved
        if cash is not None:
            # The total has what is reserved, and so has the cash.
            equity = cash + total - reserved
        return Exposure(
            market_micros=sums.get((subscription.id, condition_id), 0),
            leader_micros=sums.get((subscription.id,), 0),
            total_micros=total,
            day_micros=self._days.get((subscription.id, now_ms // DAY_MS), 0),
            budget_micros=budget,
            cash_micros=free,
            equity_micros=equity,
            positions=len(outcomes),
            buys=self._bought_before.get(lot, 0)
            + (sum(number > 0 for number in buys.values()) if buys else 0),
            holds_outcome=asset_id in outcomes,
            holds_other_outcome=len(market) > (asset_id in market),
            leader_on_both=leader_on_both,
            accrued_micros=self._accrued.get(lot, 0),
        )

    def entry_open(self, subscription_id: str, asset_id: str) -> bool:
        """Return whether an entry of this lot is unresolved."""
        return (subscription_id, asset_id) in self._open_by_lot

    def open_entries(self, subscription_id: str, asset_id: str) -> frozenset[str]:
        """Return the orders of a lot's unresolved entries."""
        return frozenset(self._open_by_lot.get((subscription_id, asset_id), ()))

    def open_orders(self) -> Mapping[str, OpenEntry]:
        """Return all unresolved entries, by order."""
        return self._open

    def is_open(self, order_key: str) -> bool:
        """Return whether an entry is unresolved."""
        return order_key in self._open


def _number(counters: defaultdict[K, Counter[str]], key: K, asset_id: str, number: int) -> None:
    """Add to a number; of markets that ended long ago nothing stays, not even an empty counter."""
    counter = counters[key]
    counter[asset_id] += number
    if not counter[asset_id]:
        del counter[asset_id]
        if not counter:
            del counters[key]


def spent_at_most(money_micros: int, size_micros: int, filled_micros: int) -> int:
    """Return what fills of a reservation cost at most, rounded up; 0 without a size."""
    return -(-money_micros * filled_micros // size_micros) if size_micros else 0
