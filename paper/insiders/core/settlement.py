"""The steps of a trade from matched to its end, as a table.

Called with what the store knows of a trade; the exchange performs the step when it is due, also
after a restart, because every due instant follows from the instant of the match.
"""

from __future__ import annotations

from dataclasses import dataclass

from paper.insiders.core.model import Settlement, TradeStatus

_NEXT: dict[Settlement, dict[TradeStatus, TradeStatus]] = {
    "normal": {"MATCHED": "MINED", "MINED": "CONFIRMED"},
    "retrying": {"MATCHED": "RETRYING", "RETRYING": "MINED", "MINED": "CONFIRMED"},
    "failing": {"MATCHED": "RETRYING", "RETRYING": "FAILED"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next status of a trade and when it takes it, in ms since the epoch."""

    status: TradeStatus
    due_ms: int


def next_step(
    *, status: TradeStatus, settlement: Settlement, matched_ms: int, settle_ms: int
) -> Step | None:
    """The step after `status`, or None at the end.

    The last step is due `settle_ms` after the match, the ones before it in equal parts.
    """
    path = _NEXT[settlement]
    if status not in path:
        return None
    number = list(path).index(status) + 1
    return Step(status=path[status], due_ms=matched_ms + settle_ms * number // len(path))
