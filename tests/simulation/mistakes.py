"""Messages that a process cannot handle for a while: a mistake in its code, mended later.

Before or after its work, which may be committed then: whoever handles the message again, at once or
out of quarantine, must not do it twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.simulation.storm import Storm
from tradingtools.runtime.consumer import Consumer

KIND = "message not handled"


class Mistake(Exception):
    """The code cannot handle a message."""


class Mistakes:
    """Messages that cannot be handled: drawn when one comes first; mended after the storm.

    Args:
        storm: draws.
    """

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._bad: dict[tuple[str, bytes], bool] = {}
        """Whether it fails before its work, by consumer and message; not in it: it is handled."""
        self._seen: set[tuple[str, bytes]] = set()

    def consumer(
        self,
        pool: Any,
        stream: str,
        consumer: str,
        kind: type[Any],
        handle: Callable[[Any], Awaitable[None]],
    ) -> Consumer[Any]:
        """Takes the place of `Consumer`: the real one, with a handler that makes mistakes."""

        async def mistaken(message: Any) -> None:
            early = self._fails(consumer, message.SerializeToString(deterministic=True))
            if early:
                raise Mistake("before its work")
            await handle(message)
            if early is not None:
                raise Mistake("after its work")

        return Consumer(pool, stream, consumer, kind, mistaken)

    def _fails(self, consumer: str, message: bytes) -> bool | None:
        """Return whether it fails before its work (True) or after it (False); None: it does not."""
        key = (consumer, message)
        if key not in self._seen:
            self._seen.add(key)
            if self._storm.hits(KIND):
                self._bad[key] = self._storm.rng.random() < 0.5
        return self._bad.get(key) if self._storm.on else None
