"""The kinds of triggers. Shared by control, which takes them, and guard, which fires them."""

from __future__ import annotations

from enum import StrEnum


class TriggerType(StrEnum):
    """What makes a trigger fire. In the order in which the triggers of a lot are judged."""

    STOP_LOSS = "STOP_LOSS"
    """At or below its price."""
    TRAILING_STOP = "TRAILING_STOP"
    """A callback below the best price since its price was first reached."""
    TAKE_PROFIT = "TAKE_PROFIT"
    """At or above its price."""
    TIME_STOP = "TIME_STOP"
    """From an instant on, at whatever price."""
