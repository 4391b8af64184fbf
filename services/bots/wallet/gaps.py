"""Positions that are not what fills make: as they are kept, and what they let open. Pure."""

from __future__ import annotations

from services.bots.core import risk
from services.bots.core.positions import Difference
from services.bots.core.risk import Closed
from services.bots.store import Gap
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side

_SIDES: tuple[Side, Side] = ("BUY", "SELL")


def closings(gap: Gap, of: Instrument) -> Closed:
    """Return the sides on which nothing opens because something is missing, and why."""
    text = (
        f"the exchange holds {of.size_text(gap.held)} of the {of.size_text(gap.believed)}"
        f" {gap.instrument_id} that fills make"
    )
    if gap.corrected:
        text += "; the bots hold that much now, and a person has to say where the rest went"
    why = risk.breach(risk.RiskLimit.POSITION_MISSING, text)
    return {(gap.instrument_id, side): why for side in _SIDES}


def gap_of(now: Difference, kept: Gap | None) -> Gap:
    """Return a difference, with what a person has said of this very one."""
    same = kept is not None and kept.held - kept.believed == now.held - now.believed
    return Gap(
        instrument_id=now.instrument_id,
        believed=now.believed,
        held=now.held,
        missing=now.missing,
        explained=kept is not None and same and kept.explained,
    )
