"""A resync: what would bring a lot to what the leader's position implies, first shown, then done.

Shared by control, which asks for it and shows it, and the router, which makes the lines and claims
their orders. The lines are frozen with the preview: what is executed is exactly that, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from tradingtools.domain.leader_trade import Side
from tradingtools.domain.reasons import Reason


class ResyncState(StrEnum):
    """Where a resync stands. Values are what the database stores."""

    REQUESTED = "REQUESTED"
    """Asked for; the router has not answered."""
    PREVIEWED = "PREVIEWED"
    """The lines are there, nothing is done."""
    EXECUTING = "EXECUTING"
    """To be done; the router has not answered."""
    EXECUTED = "EXECUTED"
    """Every order of the lines is claimed, in one commit."""
    STALE = "STALE"
    """Nothing was done and nothing will be: what it was made of has changed."""


_S = ResyncState

TRANSITIONS: frozenset[tuple[ResyncState, ResyncState]] = frozenset(
    {
        (_S.REQUESTED, _S.PREVIEWED),
        # Of a start: nobody is asked whether it is to be done.
        (_S.REQUESTED, _S.EXECUTING),
        (_S.REQUESTED, _S.STALE),
        (_S.PREVIEWED, _S.EXECUTING),
        (_S.PREVIEWED, _S.STALE),
        (_S.EXECUTING, _S.EXECUTED),
        (_S.EXECUTING, _S.STALE),
    }
)


class ResyncKind(StrEnum):
    """The cause of a resync."""

    ASKED = "ASKED"
    START = "START"
    """A subscription that starts by mirroring what its leader holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One outcome: an order, or the reason why there is none. Amounts in micros."""

    condition_id: str
    asset_id: str
    leader_micros: int | None
    """Shares of the leader; None: nobody knows."""
    held_micros: int
    """Shares of the lot when the line was made."""
    side: Side | None = None
    """None: nothing is done."""
    size_micros: int = 0
    limit_micros: int = 0
    money_micros: int = 0
    """A buy: what it sets aside, its highest fee included."""
    reason: Reason = Reason.NONE
    """Why nothing, or less than wanted, is done."""
    detail: str = ""
    """The numbers that were compared."""
    order_key: str = ""


def line_json(line: Line) -> dict[str, Any]:
    """Return the line as the database keeps it; what says nothing is left out."""
    values = asdict(line)
    return {
        field.name: values[field.name]
        for field in fields(Line)
        if values[field.name] != field.default
    }


def line_from_json(values: Mapping[str, Any]) -> Line:
    """Return the line of its stored form. Raises ValueError, TypeError: it is none of ours."""
    known = dict(values)
    if known.get("side") is not None:
        known["side"] = Side(known["side"])
    known["reason"] = Reason(known.get("reason", ""))
    return Line(**known)
