"""At what limit an exit sells, and how soon its next slice follows: the same for copies of a
leader's sells, for what the guard fires, and for resyncs. Pure; prices in micros.

A late exit is better than none: each slice that the venue has tried, and that left something, lets
the next one go further below the price that it goes by, in a handful of slices down to any price.
Before it come that price and the market, after it the order.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingtools.domain.book import Market
from tradingtools.domain.money import MICROS, ceil_to

FIRST_PAUSE_MS = 250
"""Before the second slice; a fresh buy may not be settled yet."""
_POLL_MS = 8_000
"""confirm looks what a wallet holds in less."""
_LONGEST_WITHOUT_BALANCE_MS = 16_000
_SLICES = 20
"""So many doublings make the smallest part the whole, and the first pause days."""


@dataclass(frozen=True, slots=True)
class Widening:
    """The distance below its price at which a slice may sell, millionths of it."""

    first_ppm: int = 50_000

    def below_ppm(self, tried: int) -> int:
        """For the slice after so many that the venue has tried and that left something: each
        doubles it, up to the whole."""
        return min(self.first_ppm << min(tried, _SLICES), MICROS)


DEFAULT_WIDENING = Widening()


def limit_below(
    price_micros: int, below_ppm: int, market: Market, *, lowest_micros: int = 0
) -> int:
    """Return the least that a slice may sell for, a multiple of the tick from one tick to one less
    a tick.

    Args:
        price_micros: that it goes by.
        below_ppm: how far below that it may sell, millionths.
        market: for its tick.
        lowest_micros: what the follower does not sell below; 0: any price.
    """
    tick = market.tick_micros
    scheduled = -(-price_micros * (MICROS - below_ppm) // MICROS)
    return min(ceil_to(max(scheduled, lowest_micros, tick), tick), MICROS - tick)


def pause_ms(slices: int, longest_ms: int) -> int:
    """Between the last of so many slices and the next one: doubling, so that the first ones take
    seconds in all."""
    return min(FIRST_PAUSE_MS << min(max(slices - 1, 0), _SLICES), longest_ms)


def pause_without_balance_ms(slices: int) -> int:
    """Return the same after a slice that was refused for want of balance, when nothing that was
    bought has still to settle: its shares may be gone, and confirm looks. From 8 s, doubling to 16
    s: if the refusal was wrong, a stop-loss waits no longer."""
    return max(pause_ms(slices + 2, _LONGEST_WITHOUT_BALANCE_MS), _POLL_MS)
