"""Back off from lots that are too small to be sold. Pure.

Before it: `evaluation`, whose transaction has found that no exit of a lot can be claimed, whatever
is free of it. As long as it holds as much, and its market's minimum stands, it would find the same:
it looks all the same, ever more rarely.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.guard.core.backoff import Backoff
from services.guard.core.exit_size import smallest
from tradingtools.domain.book import Market

_STEP_MS, _LONGEST_MS = 500, 8_000

Size = tuple[int, int]
"""What a lot holds, and what can be sold at the least."""


class DustLots:
    """Triggers that were reached and whose lots are too small."""

    def __init__(self) -> None:
        self._resting: dict[str, str] = {}
        """Triggers, each with the name of its pause: by another size it is another one."""
        self._pauses = Backoff(_STEP_MS, _LONGEST_MS)

    def put(self, found: Mapping[str, Size], now_ms: int) -> None:
        """Note that they are too small, once more or for the first time.

        Args:
            found: by trigger.
            now_ms: monotonic milliseconds.
        """
        names = {trigger_id: _name(trigger_id, size) for trigger_id, size in found.items()}
        self._pauses.failed(names.values(), now_ms)
        self._resting.update(names)

    def rests(self, trigger_id: str, size: Size, now_ms: int) -> bool:
        """Return whether a trigger, with its lot and minimum as they are, is left alone as yet."""
        return self._pauses.rests(_name(trigger_id, size), now_ms)

    def rested(self, now_ms: int) -> list[str]:
        """Return the triggers whose pause is over, each once."""
        found = [who for who, name in self._resting.items() if not self._pauses.rests(name, now_ms)]
        for trigger_id in found:
            del self._resting[trigger_id]
        return found


def _name(trigger_id: str, size: Size) -> str:
    shares, minimum = size
    return f"{trigger_id} {shares} {minimum}"


def size_of(shares_micros: int, market: Market) -> Size:
    """Return what decides whether anything of a lot can be sold."""
    return shares_micros, smallest(market)


def too_small(size: Size) -> bool:
    """Return whether nothing of a lot can be sold, even when all of it is free."""
    shares, minimum = size
    return shares < minimum
