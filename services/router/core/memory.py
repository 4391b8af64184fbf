"""Everything that the router knows without asking: rebuilt on start, kept by what happens."""

from __future__ import annotations

from services.router.core.ledger import Ledger
from services.router.core.plan import Copy
from tradingtools.domain import ids
from tradingtools.domain.leader_trade import LeaderTrade, TradeKey
from tradingtools.domain.reasons import Reason

JUDGED_AGAIN = frozenset(
    {
        Reason.WAITING_FOR_ENTRY,
        Reason.MARKET_UNKNOWN,
        Reason.ALREADY_SELLING,
        Reason.PRICE_OUT_OF_RANGE,
    }
)
"""Why an exit cannot be made now and may be later; an exit is never too late."""


class Memory:
    """One partition's leader trades, copies, and money."""

    def __init__(self) -> None:
        self.control_seq = 0
        """The last control change that the index reflects."""
        self.ledger = Ledger()
        self.trades: dict[TradeKey, LeaderTrade] = {}
        self.copies: dict[TradeKey, dict[str, Copy]] = {}
        self.entry_owner: dict[str, str] = {}
        """The subscription that has claimed an entry, by copy key."""
        self.open_exits: dict[TradeKey, float] = {}
        """Sells with something left to sell, and when they are judged again (monotonic)."""
        self.exit_trade: dict[str, TradeKey] = {}
        """The leader trade behind an open exit order."""

    def has_open_exit(self, key: TradeKey) -> bool:
        """Whether a subscription's exit could not be made and may be later."""
        return any(copy.reason in JUDGED_AGAIN for copy in self.copies.get(key, {}).values())

    def forget_before(self, oldest_ms: int) -> None:
        """Drop leader trades of before an instant, unless an exit of theirs is open."""
        kept = {*self.open_exits, *self.exit_trade.values()}
        old = [k for k, t in self.trades.items() if t.traded_ms < oldest_ms and k not in kept]
        for key in old:
            del self.trades[key]
            for copy in self.copies.pop(key, {}).values():
                self.entry_owner.pop(
                    ids.entry_copy_key(key.leader_tx, copy.frozen.follower.proxy, key.asset_id),
                    None,
                )
