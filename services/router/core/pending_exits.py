"""Find copies of leaders' sells that may be unfinished, without scanning those that are done.

`router_state` reports each copy and each slice, and examines only the candidates found here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from services.router.core.records import Copy
from tradingtools.domain.leader_trade import TradeKey


class PendingExits:
    """Candidates by leader's sell."""

    def __init__(self) -> None:
        self._waiting: defaultdict[TradeKey, dict[str, None]] = defaultdict(dict)
        """Subscriptions whose copy says itself that something is left."""
        self._slices: defaultdict[TradeKey, dict[str, str]] = defaultdict(dict)
        """The subscription behind each open slice."""
        self._sell_of: dict[str, TradeKey] = {}

    @property
    def sell_of(self) -> Mapping[str, TradeKey]:
        """Return the leader's sell behind each open slice."""
        return self._sell_of

    def put(self, key: TradeKey, subscription_id: str, *, waits: bool) -> None:
        """Note a copy.

        Args:
            key: of the leader's sell.
            subscription_id: of the copy.
            waits: the copy says itself that something is left.
        """
        if waits:
            self._waiting[key][subscription_id] = None
        elif key in self._waiting:
            self._waiting[key].pop(subscription_id, None)
            if not self._waiting[key]:
                del self._waiting[key]

    def forget(self, key: TradeKey) -> None:
        """Drop all copies of a sell."""
        self._waiting.pop(key, None)

    def clear(self) -> None:
        """Drop everything: a rebuild follows."""
        self._waiting.clear()
        self._slices.clear()
        self._sell_of.clear()

    def slice_claimed(self, order_key: str, key: TradeKey, subscription_id: str) -> None:
        """Note a slice that is open from now on."""
        self._slices[key][order_key] = subscription_id
        self._sell_of[order_key] = key

    def slice_ended(self, order_key: str) -> TradeKey | None:
        """Note a slice's end; return its sell if it was open."""
        key = self._sell_of.pop(order_key, None)
        if key is not None:
            del self._slices[key][order_key]
            if not self._slices[key]:
                del self._slices[key]
        return key

    def of(self, key: TradeKey, copies: Mapping[str, Copy], *, all_of_them: bool) -> list[str]:
        """Return subscriptions of which a sell's copies may not be done.

        Args:
            key: of the sell.
            copies: of it.
            all_of_them: what is left is not known of each.
        """
        if all_of_them:
            return list(copies)
        found = dict(self._waiting.get(key, {}))
        found.update(dict.fromkeys(self._slices.get(key, {}).values()))
        return [subscription_id for subscription_id in found if subscription_id in copies]

    def waiting(self) -> Iterator[tuple[TradeKey, str]]:
        """Return each sell and subscription whose copy says itself that something is left."""
        return ((key, each) for key, ids in self._waiting.items() for each in ids)
