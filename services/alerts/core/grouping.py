"""When a group of alerts is notified, and as what: one pure function of its counts and the time.

Before it: `open_alerts`, which counts. After it: `texts`, which words the message.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from services.alerts.core.rules import Grouping


class Kind(StrEnum):
    """The kind of a group's message."""

    FIRING = "FIRING"
    MORE = "MORE"
    """It was notified, and has grown since."""
    STILL = "STILL"
    """It was notified long ago, and goes on."""
    RESOLVED = "RESOLVED"
    PASSED = "PASSED"
    """It began and ended before it could be notified."""


class Counts(Struct, frozen=True, kw_only=True):
    """A group, as far as it matters for when its message is due. Times are milliseconds."""

    firing: int = 0
    pending: int = 0
    """Alerts that have fired since the last message."""
    pending_since_ms: int = 0
    notified_ms: int | None = None
    """The last message of the group, of this time or an earlier one."""
    open: bool = False
    """Whoever was notified has not been notified yet that it is over."""


def due(group: Counts, timing: Grouping, now_ms: int, *, quiet: bool) -> Kind | None:
    """Return the kind of message that a group is due now; None: not now.

    Args:
        group: its counts.
        timing: of the rules.
        now_ms: the time.
        quiet: it is one of the hours in which this group is not notified.
    """
    if quiet:
        return None
    if group.open and not group.firing:
        return Kind.RESOLVED
    if group.pending:
        since = group.pending_since_ms + timing.wait_seconds * 1000
        if group.notified_ms is not None:
            since = max(since, group.notified_ms + timing.interval_seconds * 1000)
        if now_ms < since:
            return None
        if group.open:
            return Kind.MORE
        return Kind.FIRING if group.firing else Kind.PASSED
    notified_ms = group.notified_ms
    if (
        group.open
        and notified_ms is not None
        and now_ms >= notified_ms + timing.repeat_seconds * 1000
    ):
        return Kind.STILL
    return None


def forgettable(group: Counts, timing: Grouping, now_ms: int) -> bool:
    """Return whether nothing of a group matters any more: it is over, notified, and long enough
    ago."""
    if group.firing or group.pending or group.open:
        return False
    return group.notified_ms is None or now_ms >= group.notified_ms + timing.interval_seconds * 1000
