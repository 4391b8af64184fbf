"""Compute what followers would have got at the books recorded after a leader's buys. Pure.

A buy without a recorded book says nothing: it is counted as unobserved, never as a fill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.enrichment.core.formulas import ratio
from services.enrichment.core.trades import Trade
from services.enrichment.core.values import Books, Copyability, Latency
from tradingtools.domain.book import Level
from tradingtools.domain.money import MICROS, notional_ceil, size_for

DELAYS = (1, 3, 10)
"""Seconds."""
AMOUNTS = (10 * MICROS, 100 * MICROS, 1_000 * MICROS)
"""USDC, 1e-6."""
SLIPPAGE_MICROS = 30_000
"""How much more than the leader's price is paid: the default of a subscription's maxSlippage."""
_QUICK, _NEWS = 0.005, 0.02
_OBSERVED = 10
"""Fewer say nothing about how quick a leader is."""


@dataclass(slots=True)
class _Sum:
    observed: int = 0
    unobserved: int = 0
    spent: int = 0
    shares: int = 0
    leader_cost: int = 0
    unfilled: int = 0


def bought(asks: Sequence[Level], amount_micros: int, limit_micros: int) -> tuple[int, int]:
    """Return shares and cost of spending an amount into asks, best first, up to a limit."""
    shares = spent = 0
    for price, size in asks:
        if price > limit_micros:
            break
        taken = min(size, size_for(amount_micros - spent, price)) if price else 0
        shares += taken
        spent += notional_ceil(taken, price)
        if taken < size:
            break
    return shares, spent


def copyability(trades: Sequence[Trade], books: Books) -> tuple[Copyability, ...]:
    """Return it for each delay and amount, over all buys of a leader."""
    buys = [trade for trade in trades if trade.side == "BUY"]
    return tuple(_cell(buys, books, delay, amount) for delay in DELAYS for amount in AMOUNTS)


def _cell(buys: Sequence[Trade], books: Books, delay: int, amount: int) -> Copyability:
    of = _Sum()
    for trade in buys:
        asks = books.get((trade.tx, trade.asset_id), {}).get(delay)
        if asks is None:
            of.unobserved += 1
            continue
        # Of an average price the limit is rounded down, against the follower.
        limit = trade.notional_micros * (MICROS + SLIPPAGE_MICROS) // trade.size_micros
        shares, spent = bought(asks, amount, min(limit, MICROS - 1))
        of.observed += 1
        of.spent += spent
        of.shares += shares
        of.leader_cost += trade.notional_micros * shares // trade.size_micros
        of.unfilled += amount - spent
    return Copyability(
        delay_seconds=delay,
        amount_micros=amount,
        observed=of.observed,
        unobserved=of.unobserved,
        spent_micros=of.spent,
        shares_micros=of.shares,
        leader_cost_micros=of.leader_cost,
        unfilled_micros=of.unfilled,
        slippage=ratio(of.spent - of.leader_cost, of.leader_cost),
        filled=ratio(of.spent, of.observed * amount),
    )


def cell(cells: Sequence[Copyability], delay: int, amount_micros: int) -> Copyability:
    """Return the one of a delay and an amount."""
    return next(c for c in cells if (c.delay_seconds, c.amount_micros) == (delay, amount_micros))


def latency(cells: Sequence[Copyability]) -> Latency:
    """Return how much ten seconds cost more than one, for ten dollars, as a class."""
    first, last = (cell(cells, delay, AMOUNTS[0]) for delay in (DELAYS[0], DELAYS[-1]))
    if min(first.observed, last.observed) < _OBSERVED:
        return Latency.UNSPECIFIED
    if first.slippage is None:
        return Latency.UNSPECIFIED
    # Nothing to be had any more within the limit is the price gone.
    if last.slippage is None or last.slippage - first.slippage > _NEWS:
        return Latency.NEWS
    return Latency.QUICK if last.slippage - first.slippage > _QUICK else Latency.SLOW
