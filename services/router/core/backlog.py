"""Choose which messages of a leader are decided next when there is a backlog. Pure.

Oldest first, every copy would leave at the end of its time. Newest first, copies are fresh, and
older ones become too old. Exits are never too old: they go first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MAX_BATCH = 64
"""Messages that are decided together while others wait: newer ones may come meanwhile."""


class TradeSummary(NamedTuple):
    """A leader trade that a message tells of, as far as it matters here."""

    asset_id: str
    sold: bool


def next_batch(waiting: Sequence[Sequence[TradeSummary]]) -> list[int]:
    """Choose who goes next: the indexes of messages, in the order in which they are decided.

    Exits alone if there are any. Before a sell goes what its leader did with the outcome until
    then: the lot that it sells is what those buys have made. Without exits the newest go.

    Args:
        waiting: trades of each message of one leader, oldest message first.
    """
    last_sale = {
        trade.asset_id: index
        for index, trades in enumerate(waiting)
        for trade in trades
        if trade.sold
    }
    exits = [
        index
        for index, trades in enumerate(waiting)
        if any(index <= last_sale.get(trade.asset_id, -1) for trade in trades)
    ]
    return exits or list(reversed(range(len(waiting))))[:MAX_BATCH]
