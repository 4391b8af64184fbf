"""The matching engine's restarts, and what is refused around them."""

from __future__ import annotations

from dataclasses import dataclass

from paper.clob.core.values import Refusal

POST_ONLY_MS = 120_000
POST_ONLY_MODE = "post-only mode: only post-only orders and cancels are allowed"
DISABLED = "Trading is currently disabled. Check polymarket.com for updates"


@dataclass(slots=True)
class Phases:
    """Instants in ms."""

    down_until_ms: int = 0
    post_only_until_ms: int = 0
    disabled: bool = False

    def restart(self, down_ms: int, post_only_ms: int, now_ms: int) -> None:
        """Begin a restart: nothing is taken, and after it post-only orders alone."""
        self.down_until_ms = now_ms + down_ms
        self.post_only_until_ms = self.down_until_ms + post_only_ms

    def check(self, now_ms: int) -> None:
        """Refuse what reaches the engine while it is down. Raises Refusal."""
        if now_ms < self.down_until_ms:
            left = -(-(self.down_until_ms - now_ms) // 1000)
            raise Refusal("service not ready", 425, retry_after=left)

    def check_place(self, *, post_only: bool, now_ms: int) -> None:
        """Refuse an order for which it is not the time. Raises Refusal."""
        self.check(now_ms)
        if self.disabled:
            raise Refusal(DISABLED, 503)
        if not post_only and now_ms < self.post_only_until_ms:
            left = -(-(self.post_only_until_ms - now_ms) // 1000)
            raise Refusal(POST_ONLY_MODE, 503, code="post_only_mode", retry_after_seconds=left)
