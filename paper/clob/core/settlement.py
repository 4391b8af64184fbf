"""From a match to the chain: MATCHED, MINED, CONFIRMED, or RETRYING and FAILED."""

from __future__ import annotations

from paper.clob.core.ledger import Ledger
from paper.clob.core.values import Trade, TradeStatus

_NEXT: dict[tuple[bool, TradeStatus], TradeStatus] = {
    (False, "MATCHED"): "MINED",
    (False, "MINED"): "CONFIRMED",
    (True, "MATCHED"): "RETRYING",
    (True, "RETRYING"): "FAILED",
}
"""By whether it fails: the status that follows."""


class Settlement:
    """Trades that are under way."""

    def __init__(self, ledger: Ledger, settles_ms: int) -> None:
        self.settles_ms = settles_ms
        self.fail_next = 0
        """So many trades that come next will fail."""
        self._ledger = ledger
        self._waiting: list[tuple[int, Trade]] = []

    def add(self, trade: Trade) -> None:
        """Take a trade that was matched."""
        if self.fail_next:
            self.fail_next -= 1
            trade.fails = True
        self._waiting.append((trade.matched_ms + self.settles_ms, trade))

    def advance(self, now_ms: int) -> list[Trade]:
        """Return the trades whose status has changed."""
        due = [(at, trade) for at, trade in self._waiting if at <= now_ms]
        self._waiting = [(at, trade) for at, trade in self._waiting if at > now_ms]
        for _, trade in due:
            self._step(trade, now_ms)
            if (trade.fails, trade.status) in _NEXT:
                self._waiting.append((now_ms + self.settles_ms, trade))
        return [trade for _, trade in due]

    def finish(self, condition: str, now_ms: int) -> list[Trade]:
        """Bring a market's trades to their end at once; those that have changed."""
        mine = [trade for _, trade in self._waiting if trade.market.condition == condition]
        self._waiting = [one for one in self._waiting if one[1].market.condition != condition]
        for trade in mine:
            while (trade.fails, trade.status) in _NEXT:
                self._step(trade, now_ms)
        return mine

    def _step(self, trade: Trade, now_ms: int) -> None:
        trade.status = _NEXT[trade.fails, trade.status]
        trade.updated_ms = now_ms
        if trade.status == "MINED":
            self._ledger.settle(trade)
        elif trade.status == "FAILED":
            self._ledger.undo(trade)
