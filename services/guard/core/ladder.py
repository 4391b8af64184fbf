"""Compute how far a ladder climbs on a book, and what its rungs sell. Pure, in micros.

`trigger` judges with it. A jump over several rungs sells their sum once: they fire together when
the sum would fetch the highest of their prices, shares without a bid nothing. More shares never
fetch more a share, so a rung that is reached implies those below it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tradingtools.domain.book import Level, sell_into
from tradingtools.domain.money import MICROS
from tradingtools.domain.trigger_types import Rung


def rung_shares(
    rungs: Sequence[Rung], *, done: int, through: int, basis_micros: int, left_micros: int
) -> int:
    """Return the shares that the rungs after ``done`` up to ``through`` sell.

    Args:
        rungs: of the ladder, lowest price first.
        done: how many have sold before.
        through: how many will have sold after them; all of them take whatever is left.
        basis_micros: what the ladder began with.
        left_micros: what it may still sell: nothing sells more.
    """
    if through >= len(rungs):
        return left_micros
    share = sum(rung.share_ppm for rung in rungs[done:through])
    return min(max(basis_micros * share // MICROS, 1), left_micros)


def climbed(
    rungs: Sequence[Rung],
    *,
    done: int,
    basis_micros: int,
    left_micros: int,
    bids: Sequence[Level],
) -> int:
    """Return how many rungs have fired after this book; ``done`` when it reaches no further one."""
    for through in range(len(rungs), done, -1):
        size = rung_shares(
            rungs, done=done, through=through, basis_micros=basis_micros, left_micros=left_micros
        )
        sale = sell_into(bids, size)
        if sale is not None and sale.product >= rungs[through - 1].price_micros * size:
            return through
    return done
