"""Sort the frames of the feed: fifty a second for everybody, a few a minute for us.

The wallet is looked for in the raw bytes first; only a followed leader's frame, or one that does
not look like a trade at all, is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Set
from enum import Enum

from tradingtools.venues.polymarket.trade_rows import decode_frame
from tradingtools.venues.ports import TradeRow

_WALLET = re.compile(rb'"proxyWallet"\s*:\s*"(0x[0-9A-Fa-f]{40})"')


class Ignored(Enum):
    """The reason why a frame is of no interest, although nothing is wrong with it."""

    IDLE = "idle"
    """Empty, or the answer to a ping."""
    OTHERS = "others"
    """A trade of somebody whom nobody follows."""


def read_frame(frame: bytes, leaders: Set[bytes]) -> tuple[str, TradeRow] | Ignored:
    """Return the type and the row of a followed leader's frame, or why it is ignored.

    Args:
        frame: as received, any bytes.
        leaders: followed wallets in lower case.

    Raises:
        RowError: the frame should not have come; its reason is one word for counting.
    """
    found = _WALLET.search(frame)
    if found is not None:
        # The feed writes wallets in checksummed mixed case.
        if found[1].lower() not in leaders:
            return Ignored.OTHERS
    elif not frame.strip() or frame in (b"PONG", b"pong"):
        return Ignored.IDLE
    kind, row = decode_frame(frame)
    return (kind, row) if row.leader.encode() in leaders else Ignored.OTHERS
