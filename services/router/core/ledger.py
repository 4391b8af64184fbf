"""What the router keeps in memory to size without a read: index, lots, reservations.

Rebuilt from PostgreSQL on start; kept by its own claims and by confirm's bookings. Reservations are
released only when an order has ended, after its fills are in the lot: for a moment both count,
which is against taking risk.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingtools.domain.subscription import Subscription

LotKey = tuple[str, str]
"""Subscription and asset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEntry:
    """An entry whose reservation stands."""

    subscription_id: str
    condition_id: str
    asset_id: str
    money_micros: int


class Ledger:
    """The state of one partition's followers."""

    def __init__(self) -> None:
        self._by_leader: dict[str, dict[str, Subscription]] = {}
        self._leader_of: dict[str, str] = {}
        self._open: dict[str, OpenEntry] = {}
        self._open_by_lot: dict[LotKey, set[str]] = {}
        self._reserved: dict[tuple[str, str], int] = {}
        self._held: dict[tuple[str, str], dict[str, int]] = {}

    def put(self, subscription: Subscription) -> None:
        """Add or replace a subscription; its leader never changes."""
        self._by_leader.setdefault(subscription.leader, {})[subscription.id] = subscription
        self._leader_of[subscription.id] = subscription.leader

    def followers_of(self, leader: str) -> tuple[Subscription, ...]:
        """Subscriptions of a leader, oldest first."""
        return tuple(self._by_leader.get(leader, {}).values())

    def subscription(self, subscription_id: str) -> Subscription | None:
        """One subscription of this partition."""
        leader = self._leader_of.get(subscription_id)
        return None if leader is None else self._by_leader[leader][subscription_id]

    def reserve(self, order_key: str, entry: OpenEntry) -> None:
        """Note a claimed entry; noting it twice changes nothing."""
        if order_key in self._open:
            return
        self._open[order_key] = entry
        self._open_by_lot.setdefault((entry.subscription_id, entry.asset_id), set()).add(order_key)
        market = (entry.subscription_id, entry.condition_id)
        self._reserved[market] = self._reserved.get(market, 0) + entry.money_micros

    def release(self, order_key: str) -> None:
        """Note that an order has ended; releasing twice changes nothing."""
        entry = self._open.pop(order_key, None)
        if entry is None:
            return
        lot = (entry.subscription_id, entry.asset_id)
        self._open_by_lot[lot].discard(order_key)
        if not self._open_by_lot[lot]:
            del self._open_by_lot[lot]
        market = (entry.subscription_id, entry.condition_id)
        self._reserved[market] -= entry.money_micros
        if not self._reserved[market]:
            del self._reserved[market]

    def hold(
        self, subscription_id: str, condition_id: str, asset_id: str, cost_micros: int
    ) -> None:
        """Set what the shares of a lot cost; absolute, so that repeating changes nothing."""
        lots = self._held.setdefault((subscription_id, condition_id), {})
        if cost_micros:
            lots[asset_id] = cost_micros
        else:
            lots.pop(asset_id, None)

    def exposure(self, subscription_id: str, condition_id: str) -> int:
        """USDC at cost in one market: held and reserved."""
        market = (subscription_id, condition_id)
        return sum(self._held.get(market, {}).values()) + self._reserved.get(market, 0)

    def entry_open(self, subscription_id: str, asset_id: str) -> bool:
        """Whether an entry of this lot is unresolved."""
        return (subscription_id, asset_id) in self._open_by_lot
