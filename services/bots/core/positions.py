"""Positions as the exchange tells them, beside what the fills of all bots of a wallet make. Pure.

More than the bots hold belongs to strangers, and is left alone. Less is missing: nothing opens in
that instrument until a fill, or a person, explains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from services.bots.core.holding import Holding
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.trading import AccountState

SETTLES_MS = 3_000
"""A difference that is younger may be a fill that is still on its way to us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A position that is not what the bots' fills make. Sizes in the instrument's units."""

    instrument_id: str
    believed: int
    held: int
    since_ms: int
    """When it was seen first."""

    @property
    def missing(self) -> int:
        """Return the size that bots believe in and the exchange does not have; 0: a stranger's."""
        if not self.believed:
            return 0
        short = self.believed - self.held if self.believed > 0 else self.held - self.believed
        return max(short, 0)


def believed(holdings: Iterable[Mapping[str, Holding]]) -> dict[str, int]:
    """Return the size that all bots together believe to hold, by instrument."""
    total: dict[str, int] = {}
    for one in holdings:
        for instrument_id, held in one.items():
            total[instrument_id] = total.get(instrument_id, 0) + held.size
    return total


def held(account: AccountState, instruments: Iterable[Instrument]) -> dict[str, int]:
    """Return what the exchange says is held, by instrument; of a spot market, its coins."""
    positions = {one.instrument_id: one.size for one in account.positions}
    coins = {one.currency: one.total for one in account.balances}
    found = {}
    for one in instruments:
        if one.kind is InstrumentKind.SPOT:
            total = coins.get(one.base, Decimal(0)).scaleb(one.size_digits)
            found[one.id] = int(total.to_integral_value(ROUND_FLOOR))
        else:
            found[one.id] = positions.get(one.id, 0)
    return found


def compared(
    before: Mapping[str, int],
    after: Mapping[str, int],
    told: Mapping[str, int],
    known: Mapping[str, Difference],
    now_ms: int,
) -> dict[str, Difference]:
    """Return the differences by instrument, each since it was seen first.

    Args:
        before: what bots believed when the exchange was asked.
        after: what they believed when it had answered.
        told: its answer.
        known: the differences of the comparison before.
        now_ms: milliseconds since the epoch.
    """
    found: dict[str, Difference] = {}
    for instrument_id, size in told.items():
        mine = after.get(instrument_id, 0)
        old = known.get(instrument_id)
        if before.get(instrument_id, 0) != mine:
            # It traded meanwhile: nobody knows on which side of the answer.
            if old is not None:
                found[instrument_id] = old
            continue
        if size == mine:
            continue
        same = old is not None and old.held - old.believed == size - mine
        since = old.since_ms if same and old is not None else now_ms
        found[instrument_id] = Difference(
            instrument_id=instrument_id, believed=mine, held=size, since_ms=since
        )
    return found
