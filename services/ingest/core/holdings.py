"""What a leader held before a transaction: a baseline from the Data API, moved by the facts.

A baseline already contains some of the recent transactions, and the feed tells of those, too;
which ones it contains is known, because positions are asked for between two equal answers about
the trades. The share that a leader sold of what he held decides how much his followers sell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tradingtools.domain.money import MAX_MICROS


class Moves(Protocol):
    """A transaction, as far as holdings care."""

    traded_ms: int
    number: int
    net: dict[str, int]
    """By asset: shares in less shares out, 1e-6."""


class Holdings:
    """One leader's.

    Args:
        baseline: shares of each asset, 1e-6.
        contained: by asset and transaction, the net shares that the baseline contains already.
        settled: transactions that the baseline contains whole, whatever more is told of them.
    """

    def __init__(
        self,
        baseline: dict[str, int],
        contained: Mapping[str, dict[str, int]],
        settled: set[str],
    ) -> None:
        self._baseline = baseline
        self._contained = contained
        self._settled = settled

    def settle(self, tx: str) -> None:
        """Take a transaction as contained: it is so old that the baseline has it."""
        self._settled.add(tx)

    def before(
        self, asset_id: str, of: tuple[str, Moves], known: Mapping[str, Moves]
    ) -> int | None:
        """Shares held before a transaction, 1e-6, never negative; None: more than there can be.

        Nobody knows then what he held, and followers leave whole with his next sell. By the most
        there can be, they would sell next to nothing.

        Args:
            asset_id: the asset.
            of: the transaction and its hash.
            known: every remembered transaction of the leader by hash, ``of`` included.
        """
        tx, transaction = of
        at = (transaction.traded_ms, transaction.number)
        contained = self._contained.get(asset_id, {})
        held = self._baseline.get(asset_id, 0)
        for other_tx, other in known.items():
            net = other.net.get(asset_id)
            if net is None:
                continue
            if other_tx != tx and (other.traded_ms, other.number) < at:
                held += net
            held -= net if other_tx in self._settled else contained.get(other_tx, 0)
        return max(held, 0) if held <= MAX_MICROS else None

    def fold(self, tx: str, transaction: Moves) -> None:
        """Put a transaction that is being forgotten into the baseline."""
        for asset_id, net in transaction.net.items():
            part = self._contained.get(asset_id, {}).pop(tx, 0)
            moved = 0 if tx in self._settled else net - part
            self._baseline[asset_id] = max(self._baseline.get(asset_id, 0) + moved, 0)
        self._settled.discard(tx)
