"""Limits of a signer's requests, and the windows in which its takers are refused. Pure.

The venue fills a bucket for each signer: 40 orders a second and 60 at once, 80 cancels and 120 at
once. It counts a request when it arrives, at some instant between its first byte and its answer, so
what was sent apart may arrive together. Ours hold a second's worth, and no more are on their way
than the rest of the venue's: whatever the delays, it never counts more than it takes. Times are
milliseconds of a clock that never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tradingtools.domain.instrument import TradingPhase

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many a second, so many at once, and so many that are not answered yet."""

    per_second: int
    at_once: int
    on_their_way: int


ORDERS = Rate(per_second=40, at_once=40, on_their_way=20)
CANCELS = Rate(per_second=80, at_once=80, on_their_way=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """A bucket that fills at its rate; `permille` are thousandths of tokens."""

    rate: Rate
    permille: int
    filled_ms: int
    shut_until_ms: int = 0

    @staticmethod
    def full(rate: Rate, now_ms: int) -> TokenBucket:
        """Return the bucket of somebody who has asked for nothing yet."""
        return TokenBucket(rate=rate, permille=rate.at_once * _PERMILLE, filled_ms=now_ms)

    def take(self, now_ms: int, cost: int = 1) -> tuple[TokenBucket, int]:
        """Return the bucket after a request, and 0; or the bucket, and after how long to ask again.

        Args:
            now_ms: the present.
            cost: orders or ids in the request; more than the bucket holds empty it into debt.
        """
        filled = self._at(now_ms)
        if now_ms < filled.shut_until_ms:
            return filled, filled.shut_until_ms - now_ms
        missing = min(cost, self.rate.at_once) * _PERMILLE - filled.permille
        if missing > 0:
            return filled, -(-missing // self.rate.per_second)
        return replace(filled, permille=filled.permille - cost * _PERMILLE), 0

    def free(self, now_ms: int) -> float:
        """Return the part of it that is there; 0: it is empty, or shut."""
        filled = self._at(now_ms)
        if now_ms < filled.shut_until_ms:
            return 0.0
        return max(filled.permille, 0) / (self.rate.at_once * _PERMILLE)

    def shut(self, now_ms: int, wait_ms: int) -> TokenBucket:
        """Return the bucket after the venue refused a request: empty, and shut so long."""
        filled = self._at(now_ms)
        until = max(filled.shut_until_ms, now_ms + wait_ms)
        return replace(filled, permille=min(filled.permille, 0), shut_until_ms=until)

    def _at(self, now_ms: int) -> TokenBucket:
        gained = max(0, now_ms - self.filled_ms) * self.rate.per_second
        return replace(
            self,
            permille=min(self.permille + gained, self.rate.at_once * _PERMILLE),
            filled_ms=max(now_ms, self.filled_ms),
        )


POST_ONLY_MS = 120_000
"""After a restart of the matching engine nothing may take for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineWindow:
    """The state of the matching engine, as far as it was told."""

    down_until_ms: int = 0
    post_only_until_ms: int = 0

    def restarting(self, now_ms: int, wait_ms: int) -> EngineWindow:
        """Return the window after a 425, which asks for a wait."""
        return EngineWindow(
            down_until_ms=now_ms + wait_ms, post_only_until_ms=now_ms + POST_ONLY_MS
        )

    def post_only(self, now_ms: int, wait_ms: int) -> EngineWindow:
        """Return the window after an order was refused because only post-only ones are taken."""
        return replace(self, post_only_until_ms=max(self.post_only_until_ms, now_ms + wait_ms))

    def phase(self, now_ms: int) -> tuple[TradingPhase, int | None]:
        """Return its phase, and in how many ms it ends; None: nothing says so."""
        if now_ms < self.down_until_ms:
            return TradingPhase.SUSPENDED, self.down_until_ms - now_ms
        if now_ms < self.post_only_until_ms:
            return TradingPhase.POST_ONLY, self.post_only_until_ms - now_ms
        return TradingPhase.OPEN, None

    def wait_ms(self, now_ms: int, *, post_only: bool) -> int:
        """Return for how long such an order is not to be sent; 0: it may be."""
        until = self.down_until_ms if post_only else self.post_only_until_ms
        return max(0, until - now_ms)
