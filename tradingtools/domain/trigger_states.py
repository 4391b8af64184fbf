"""The states of a trigger, and every transition there is.

Shared by guard, control, the tests and the documentation.
"""

from __future__ import annotations

from enum import StrEnum


class TriggerStatus(StrEnum):
    """Where a trigger stands. Values are what the database stores."""

    WAITING = "WAITING"
    ARMED = "ARMED"
    SUSPENDED = "SUSPENDED"
    TRIGGERED = "TRIGGERED"
    CLOSING = "CLOSING"
    NEEDS_CONFIRM = "NEEDS_CONFIRM"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    RESOLVED = "RESOLVED"


_T = TriggerStatus

TRANSITIONS: frozenset[tuple[TriggerStatus, TriggerStatus]] = frozenset(
    {
        (_T.WAITING, _T.ARMED),
        (_T.WAITING, _T.CANCELLED),
        (_T.WAITING, _T.RESOLVED),
        (_T.ARMED, _T.SUSPENDED),
        (_T.ARMED, _T.TRIGGERED),
        (_T.ARMED, _T.CANCELLED),
        (_T.ARMED, _T.RESOLVED),
        (_T.SUSPENDED, _T.ARMED),
        (_T.SUSPENDED, _T.CANCELLED),
        (_T.SUSPENDED, _T.RESOLVED),
        # The exit is under way, or ended before it was under way.
        (_T.TRIGGERED, _T.CLOSING),
        (_T.TRIGGERED, _T.NEEDS_CONFIRM),
        (_T.TRIGGERED, _T.DONE),
        (_T.TRIGGERED, _T.ARMED),
        (_T.TRIGGERED, _T.RESOLVED),
        (_T.CLOSING, _T.NEEDS_CONFIRM),
        (_T.CLOSING, _T.DONE),
        (_T.CLOSING, _T.RESOLVED),
        # Nothing was sent, or all of it was undone: armed again under a new generation. Or a rung
        # has sold: armed for the next one.
        (_T.CLOSING, _T.ARMED),
        (_T.NEEDS_CONFIRM, _T.CLOSING),
        (_T.NEEDS_CONFIRM, _T.DONE),
        (_T.NEEDS_CONFIRM, _T.ARMED),
        (_T.NEEDS_CONFIRM, _T.RESOLVED),
    }
)

EDITABLE: frozenset[TriggerStatus] = frozenset({_T.WAITING, _T.ARMED, _T.SUSPENDED})
"""A caller may change or delete it."""

UNDER_WAY: frozenset[TriggerStatus] = frozenset({_T.TRIGGERED, _T.CLOSING, _T.NEEDS_CONFIRM})
"""It has fired, and its exit has not ended."""

FINAL: frozenset[TriggerStatus] = frozenset({_T.DONE, _T.CANCELLED, _T.RESOLVED})
