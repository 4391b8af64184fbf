"""Judge the health of the engine's parts from what each look has found. Pure.

Before it: `watch`, which asks. After it: `/health/engine`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessAnswer:
    """A process's answer to one look."""

    serving: bool
    away: tuple[str, ...] = ()
    """Names of its health checks that fail."""


NO_ANSWER = ProcessAnswer(serving=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The health of one process."""

    poll: ProcessAnswer
    since_ms: int
    """Since when it serves, or does not."""


def after(before: Part | None, poll: ProcessAnswer, now_ms: int) -> Part:
    """Return how a process stands after a look."""
    if before is not None and before.poll.serving is poll.serving:
        return Part(poll=poll, since_ms=before.since_ms)
    return Part(poll=poll, since_ms=now_ms)


def is_well(parts: Iterable[Part]) -> bool:
    """Return whether all of them serve and say that nothing is away."""
    return all(part.poll.serving and not part.poll.away for part in parts)
