"""Margin as OKX publishes it, for isolated positions and for the cross pool of a currency.

Sources: OKX help centre, "Futures mode: cross margin trading", "Isolated margin mode" and "Tiered
maintenance margin ratio rules". With `worth` (`instruments.py`) one formula holds for linear and
inverse contracts, long and short.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from paper.okx.core.amounts import ONE, ceil_div
from paper.okx.core.instruments import Instrument
from paper.okx.core.tiers import PPM


@dataclass(slots=True, kw_only=True)
class Position:
    """Lots of one contract in one margin mode, net: above zero long, below short.

    `cost` is what the lots were worth when they came in, so an average price never rounds money.
    """

    instrument: Instrument
    mode: str
    leverage: int
    pos_id: int
    opened_ms: int
    lots: int = 0
    cost: int = 0
    margin: int = 0
    """Set aside for it, isolated only."""
    realized: int = 0
    """Gains of closed lots, without fees and funding."""
    fees: int = 0
    funding: int = 0
    penalty: int = 0
    """The fees of its liquidations, below zero."""
    updated_ms: int = 0
    trade_id: int = 0
    warned: bool = field(default=False)
    """Its holder was warned of liquidation."""

    def gain(self, mark: int) -> int:
        """The unrealised gain at a mark price in ticks."""
        return self.lots * self.instrument.worth(mark) - self.cost

    def average(self) -> int:
        """The average entry price in 10^-18; 0 without lots."""
        if not self.lots or not self.cost:
            return 0
        of = self.instrument
        if of.inverse:
            return abs(of.lot * of.contract * self.lots // self.cost)
        return self.cost * ONE * ONE // (self.lots * of.lot * of.contract)


def initial_margin(notional: int, leverage: int) -> int:
    """Return what a notional needs to be opened."""
    return ceil_div(notional, leverage)


def maintenance(notional: int, maintenance_ppm: int) -> int:
    """Return what a notional needs to be kept."""
    return ceil_div(notional * maintenance_ppm, PPM)


def liquidation_price(
    position: Position, balance: int, *, maintenance_ppm: int, taker_ppm: int
) -> int | None:
    """The mark price in ticks, rounded to where it is reached earlier, at which balance and gain
    are down to maintenance margin and closing fee; None where no price does that.

    `balance` is the margin of an isolated position; for cross what the currency has besides this
    position, less what its other positions demand.
    """
    return _solve(position, balance, maintenance_ppm + taker_ppm)


def bankruptcy_price(position: Position, balance: int) -> int | None:
    """The mark price in ticks at which balance and gain are nothing; None where no price is."""
    return _solve(position, balance, 0)


def _solve(position: Position, balance: int, demanded_ppm: int) -> int | None:
    of, lots = position.instrument, position.lots
    if not lots:
        return None
    spare = balance - position.cost
    if of.inverse:
        # spare = (lots + |lots| * demanded) * value / price
        above = of.lot * of.contract * (lots * PPM + abs(lots) * demanded_ppm)
        below = spare * of.tick * PPM
    else:
        # lots * price - |lots| * price * demanded = -spare
        above = -spare * PPM * ONE * ONE
        below = of.tick * of.lot * of.contract * (lots * PPM - abs(lots) * demanded_ppm)
    if not below or (above < 0) != (below < 0):
        return None
    price = ceil_div(above, below) if lots > 0 else above // below
    return price if price > 0 else None
