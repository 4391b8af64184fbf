"""The walks: each combination with every guard, and each guard taken away once.

Between the worlds and those who ask: the command and the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.model.ends import Ends
from tools.model.explore import Walk, walk
from tools.model.guards import (
    COMBINATIONS,
    ENDS_GUARDS,
    PARTS_GUARDS,
    SHOWN_IN,
    Guard,
    Rules,
    combination,
)
from tools.model.parts import TwoParts
from tools.model.protocol import OneOrder


def one_order(letters: str, *, lives: int = 3, without: Guard | None = None) -> Walk:
    """Walk the world of one order under one combination of capabilities.

    Raises:
        ValueError: a letter that is no capability.
        TooManyStates: see `walk`.
    """
    return walk(OneOrder(Rules(capabilities=combination(letters), without=without, lives=lives)))


def two_parts(*, without: Guard | None = None) -> Walk:
    """Walk the world of one copy in two parts."""
    return walk(TwoParts(Rules(capabilities=combination(""), without=without)))


def ends(*, without: Guard | None = None) -> Walk:
    """Walk the world of one order's end, in which the venue gateway may break its word."""
    return walk(Ends(Rules(capabilities=combination("C"), without=without)))


def without(guard: Guard) -> Walk:
    """Walk the world in which the loss of a guard shows."""
    if guard in PARTS_GUARDS:
        return two_parts(without=guard)
    if guard in ENDS_GUARDS:
        return ends(without=guard)
    return one_order(SHOWN_IN.get(guard, "C"), without=guard)


def everything(lives: int) -> Iterator[tuple[str, Walk]]:
    """All sixteen combinations, then the parts, then the ends."""
    for letters in COMBINATIONS:
        yield letters or "none", one_order(letters, lives=lives)
    yield "two parts", two_parts()
    yield "ends", ends()


def readable(found: Walk) -> str:
    """A counterexample, one numbered step a line; or that there is none."""
    if not found.broken:
        return f"no violation in {found.states} states, {found.transitions} transitions"
    steps = "\n".join(f"{number:4}. {label}" for number, label in enumerate(found.trace, 1))
    return f"{found.broken}\n{steps}\nat last: {found.last}"
