"""Values in dollars, for the fields that say so."""

from __future__ import annotations

from paper.okx.core.amounts import ONE
from paper.okx.core.instruments import Instrument
from paper.okx.core.world import World

DOLLARS = frozenset({"USD", "USDT", "USDC"})


def dollars(world: World, currency: str) -> int:
    """The price of a currency in 10^-18 dollars; 0 where none is known."""
    if currency in DOLLARS:
        return ONE
    return world.indexes.get(f"{currency}-USDT", 0)


def in_dollars(world: World, amount: int, currency: str) -> int:
    """An amount of a currency in 10^-18 dollars."""
    return amount * dollars(world, currency) // ONE


def notional(world: World, of: Instrument, lots: int, ticks: int) -> int:
    """The value of lots at a price in 10^-18 dollars."""
    if of.inverse:
        return abs(lots) * of.lot * of.contract // ONE
    return in_dollars(world, of.notional(lots, ticks), of.settle)
