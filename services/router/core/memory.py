"""Everything that the router knows without asking: rebuilt on start, kept by what happens."""

from __future__ import annotations

from services.router.core.ledger import Ledger
from services.router.core.plan import Copy
from tradingtools.domain import ids
from tradingtools.domain.leader_trade import LeaderTrade, Side, TradeKey
from tradingtools.domain.reasons import Reason


class Memory:
    """One partition's leader trades, copies, and money."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.trades: dict[TradeKey, LeaderTrade] = {}
        self.copies: dict[TradeKey, dict[str, Copy]] = {}
        self.entry_owner: dict[str, str] = {}
        """The subscription that has claimed an entry, by copy key."""
        self.waiting: dict[tuple[str, str], set[TradeKey]] = {}
        """Sells that wait for an unresolved entry, by subscription and asset."""
        self.exit_trade: dict[str, TradeKey] = {}
        """The leader trade behind an open exit order."""

    def remember_exit(self, key: TradeKey, subscription_id: str, copy: Copy) -> None:
        """Note which orders and which lot a leader's sell is about."""
        if key.side is not Side.SELL:
            return
        if copy.reason is Reason.WAITING_FOR_ENTRY:
            self.waiting.setdefault((subscription_id, key.asset_id), set()).add(key)
        for order_key in copy.order_keys[-1:]:
            self.exit_trade[order_key] = key

    def forget_before(self, oldest_ms: int) -> None:
        """Drop leader trades of before an instant, unless an exit of theirs still waits."""
        kept = {key for keys in self.waiting.values() for key in keys}
        kept.update(self.exit_trade.values())
        old = [k for k, t in self.trades.items() if t.traded_ms < oldest_ms and k not in kept]
        for key in old:
            del self.trades[key]
            for copy in self.copies.pop(key, {}).values():
                self.entry_owner.pop(
                    ids.entry_copy_key(key.leader_tx, copy.frozen.follower.proxy, key.asset_id),
                    None,
                )
