"""The buckets of a signer: 40 orders a second and 60 at once, 80 cancels and 120 at once."""

from __future__ import annotations

from paper.clob.core.values import Refusal

_RATES = {"orders": (40, 60), "cancels": (80, 120)}


class Limits:
    """Counts what each signer asks for."""

    def __init__(self) -> None:
        self.enforced = True
        self._left: dict[tuple[str, str], tuple[float, int]] = {}

    def take(self, signer: str, what: str, cost: int, now_ms: int) -> None:
        """Count a request. Raises Refusal (429)."""
        per_second, at_once = _RATES[what]
        left, at_ms = self._left.get((signer, what), (float(at_once), now_ms))
        left = min(float(at_once), left + (now_ms - at_ms) * per_second / 1000)
        if cost > left and self.enforced:
            wait = int((cost - left) / per_second) + 1
            self._left[signer, what] = (left, now_ms)
            raise Refusal("Too Many Requests", 429, retry_after=wait)
        self._left[signer, what] = (max(0.0, left - cost), now_ms)
