"""Decide when whose document is computed again. Pure.

A leader is due after an interval, give or take a tenth that his wallet says, so that many leaders
do not come due at once; or shortly after an event that changes what is known of him.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_THOUSANDTHS = 200
"""The width of the jitter: a tenth earlier to a tenth later."""


class Schedule:
    """Instants at which leaders are due.

    Args:
        interval_ms: between two computations.
        settle_ms: from an event on, how long others are waited for.
    """

    def __init__(self, interval_ms: int, settle_ms: int) -> None:
        self._interval_ms = interval_ms
        self._settle_ms = settle_ms
        self._due: dict[str, int] = {}

    def follow(self, wallets: Iterable[str], now_ms: int) -> list[str]:
        """Take over who has documents; new ones are due at once. Return those who have left."""
        desired = set(wallets)
        left = [wallet for wallet in self._due if wallet not in desired]
        for wallet in left:
            del self._due[wallet]
        for wallet in desired:
            self._due.setdefault(wallet, now_ms)
        return left

    def touch(self, wallet: str, now_ms: int) -> None:
        """Note an event; of several the first one counts, and nobody is due later for it."""
        if wallet in self._due:
            self._due[wallet] = min(self._due[wallet], now_ms + self._settle_ms)

    def due(self, now_ms: int) -> list[str]:
        """Return who is due, who has waited longest first."""
        waiting = [(at_ms, wallet) for wallet, at_ms in self._due.items() if at_ms <= now_ms]
        return [wallet for _, wallet in sorted(waiting)]

    def done(self, wallet: str, now_ms: int) -> None:
        """Note that a document was computed, or could not be."""
        if wallet in self._due:
            part = int.from_bytes(hashlib.sha256(wallet.encode()).digest()[:4]) % (_THOUSANDTHS + 1)
            jittered = self._interval_ms * (1000 - _THOUSANDTHS // 2 + part) // 1000
            self._due[wallet] = now_ms + jittered

    def everybody(self) -> frozenset[str]:
        """Return who has documents."""
        return frozenset(self._due)

    def again(self, now_ms: int) -> None:
        """Have everybody due: what was published is gone."""
        self._due = dict.fromkeys(self._due, now_ms)
