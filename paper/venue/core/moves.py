"""Movements of a leader's shares that are no trade: told over the control port, never on the feed.

Before: `control`. After: the Data API's activity and positions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from paper.venue.core import amounts
from paper.venue.core.markets import Market
from paper.venue.core.positions import Holding

Kind = Literal["SPLIT", "MERGE", "REDEEM", "CONVERSION"]
_AFTER_TRADES = 1 << 40
"""Rows of one second are told apart by their number; those of trades stay below this."""


class MoveBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request of the control port. Without an asset every outcome moves."""

    type: Kind
    proxyWallet: str
    conditionId: str
    size: str
    transactionHash: str
    asset: str = ""
    usdcSize: str = "0"
    timestamp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A movement as it happened; `size` and `paid` in micros."""

    number: int
    kind: Kind
    wallet: str
    market: Market
    asset: str
    size: int
    paid: int
    tx: str
    timestamp_s: int
    visible_ms: int

    @property
    def seq(self) -> int:
        """Its place among the rows of its second."""
        return _AFTER_TRADES + self.number


def from_body(body: MoveBody, market: Market, *, number: int, wall_ms: int, lag_ms: int) -> Move:
    """Checked movement. Raises ValueError naming the field."""
    if body.asset and body.asset not in market.assets:
        raise ValueError("asset: not of this condition")
    size = amounts.exact(body.size)
    if size <= 0:
        raise ValueError("size: not above zero")
    return Move(
        number=number,
        kind=body.type,
        wallet=body.proxyWallet.lower(),
        market=market,
        asset=body.asset,
        size=size,
        paid=amounts.exact(body.usdcSize),
        tx=body.transactionHash.lower(),
        timestamp_s=body.timestamp or wall_ms // 1000,
        visible_ms=wall_ms + lag_ms,
    )


def moved(
    held: dict[str, Holding], moves: Iterable[Move], wallet: str, now_ms: int
) -> dict[str, Holding]:
    """Holdings by asset after what the indexer has seen of a wallet's movements."""
    result = dict(held)
    for move in moves:
        if move.wallet != wallet or move.visible_ms > now_ms:
            continue
        for asset in (move.asset,) if move.asset else move.market.assets:
            before = result.get(asset, Holding())
            change = move.size if move.kind == "SPLIT" else -move.size
            result[asset] = replace(before, size=max(before.size + change, 0))
    return result
