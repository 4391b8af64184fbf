"""Positions of leaders: a seeded holding from before the tape, moved by each played trade.

Many recorded sells exceed what the tape shows bought, so the start is at least the deepest
shortfall of the tape: no recorded sell is ever larger than the holding it sells from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from paper.venue.core import amounts, rng
from paper.venue.core.trade import Trade

Holder = tuple[str, str]  # wallet, asset


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares held, their cost, shares ever bought and profit taken; all micros."""

    size: int = 0
    cost: int = 0
    bought: int = 0
    realized: int = 0


def after(held: Holding, trade: Trade) -> Holding:
    """The holding after a trade. A sell of more than is held sells all."""
    if trade.side == "BUY":
        return Holding(
            held.size + trade.size,
            held.cost + trade.size * trade.price // amounts.ONE,
            held.bought + trade.size,
            held.realized,
        )
    sold = min(trade.size, held.size)
    cost = held.cost * sold // held.size if held.size else 0
    gain = sold * trade.price // amounts.ONE - cost
    return Holding(held.size - sold, held.cost - cost, held.bought, held.realized + gain)


def starting(trades: Iterable[Trade], seed: int) -> dict[Holder, Holding]:
    """Each leader's holdings before the first of `trades`, which are in playing order."""
    running: dict[Holder, int] = {}
    deepest: dict[Holder, int] = {}
    prices: dict[Holder, int] = {}
    for trade in trades:
        holder = (trade.wallet, trade.asset)
        signed = trade.size if trade.side == "BUY" else -trade.size
        running[holder] = running.get(holder, 0) + signed
        deepest[holder] = min(deepest.get(holder, 0), running[holder])
        prices.setdefault(holder, trade.price)
    return {
        holder: _start(-short, prices[holder], rng.key(seed, "holding", *holder))
        for holder, short in deepest.items()
    }


def topped_up(
    held: Mapping[Holder, Holding], start: Mapping[Holder, Holding]
) -> dict[Holder, Holding]:
    """The holdings a further lap begins with: what is held, but no less than at the start."""
    return {
        **held,
        **{h: s for h, s in start.items() if held.get(h, Holding()).size < s.size},
    }


def cash(wallet: str, seed: int) -> int:
    """A leader's free cash in micros of USDC, in whole cents, 2,000 to 200,000."""
    return rng.between(rng.key(seed, "cash", wallet), 200_000, 20_000_000) * 10_000


def _start(needed: int, price: int, base: int) -> Holding:
    if not needed:
        return Holding()
    extra = needed * rng.between(rng.mix(base, 0), 0, 100) // 100
    size = -(-(needed + extra) // 10_000) * 10_000
    paid = min(max(price * rng.between(rng.mix(base, 1), 70, 120) // 100, 1), amounts.ONE - 1)
    return Holding(size, size * paid // amounts.ONE, size, 0)
