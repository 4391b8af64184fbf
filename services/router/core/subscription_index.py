"""Index subscriptions by leader, so that a trade finds its followers without a scan.

It is loaded on start from rows of `subscription` and kept by control's changes.
"""

from __future__ import annotations

from tradingtools.domain.subscription import Subscription


class SubscriptionIndex:
    """The subscriptions of one partition, by leader."""

    def __init__(self) -> None:
        self._by_leader: dict[str, dict[str, Subscription]] = {}
        self._leader_of: dict[str, str] = {}

    def put(self, subscription: Subscription) -> None:
        """Add or replace a subscription; its leader never changes."""
        self._by_leader.setdefault(subscription.leader, {})[subscription.id] = subscription
        self._leader_of[subscription.id] = subscription.leader

    def followers_of(self, leader: str) -> tuple[Subscription, ...]:
        """Return the subscriptions of a leader, oldest first."""
        return tuple(self._by_leader.get(leader, {}).values())

    def judged_leaders(self) -> list[str]:
        """Return the leaders whose statistics a subscription filters by."""
        return [
            leader
            for leader, known in self._by_leader.items()
            if any(s.settings.leader is not None for s in known.values())
        ]

    def ids(self) -> list[str]:
        """Return the ids of all subscriptions of this partition, in any state."""
        return list(self._leader_of)

    def subscription(self, subscription_id: str) -> Subscription | None:
        """Return one subscription of this partition; None: it is not here."""
        leader = self._leader_of.get(subscription_id)
        return None if leader is None else self._by_leader[leader][subscription_id]
