"""The states of a redemption, and every transition there is.

Shared by confirm, which moves them, control, which shows them, and the tests. The request is safe
to repeat: its key and bytes never change, and it takes all shares of a market, so that a second one
finds nothing.
"""

from __future__ import annotations

from enum import StrEnum


class RedemptionState(StrEnum):
    """Where a redemption stands. Values are what the database stores."""

    REQUESTED = "REQUESTED"
    """Durable; nothing was accepted as far as is known."""
    UNKNOWN = "UNKNOWN"
    """It was sent and its answer did not come: it is asked for again under the same key."""
    ACCEPTED = "ACCEPTED"
    """insiders-api has it and is not done."""
    CONFIRMED = "CONFIRMED"
    """The shares are gone and the money is there."""


_S = RedemptionState

TRANSITIONS: frozenset[tuple[RedemptionState, RedemptionState]] = frozenset(
    {
        (_S.REQUESTED, _S.UNKNOWN),
        (_S.REQUESTED, _S.ACCEPTED),
        (_S.REQUESTED, _S.CONFIRMED),
        (_S.UNKNOWN, _S.ACCEPTED),
        (_S.UNKNOWN, _S.CONFIRMED),
        (_S.ACCEPTED, _S.CONFIRMED),
    }
)
