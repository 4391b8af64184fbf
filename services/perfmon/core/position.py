"""Shares of one outcome, and what they count between two bounds as marks and time go by. Pure.

A doubt that lasts hides no other loss: from then on, what is in doubt stands at what it was worth
before, as long as no book says less. It is neither a loss nor a gain.
"""

from __future__ import annotations

import msgspec

from tradingtools.domain.money import MICROS, notional_ceil


class Valuation(msgspec.Struct, frozen=True, gc=False):
    """The proceeds of shares, micros of USDC before fees."""

    low_micros: int
    high_micros: int
    trusted: bool
    """By a book that may be traded on, or by a payout."""


class OutcomePosition(msgspec.Struct, frozen=True, gc=False):
    """Shares of an outcome, and what they have cost. Micros."""

    shares_micros: int
    cost_micros: int

    def less(self, other: OutcomePosition) -> OutcomePosition:
        """Return how much more it is than another one."""
        return OutcomePosition(
            self.shares_micros - other.shares_micros, self.cost_micros - other.cost_micros
        )


class Patience(msgspec.Struct, frozen=True, gc=False):
    """The times that tell a mark from a bad one, and a doubt from one that lasts. Milliseconds."""

    confirm_ms: int
    doubt_ms: int


class _Recent:
    """The most that a share has fetched lately: a bad mark before a doubt is not what it is worth.

    Args:
        span_ms: how long a price has to stand to be believed.
    """

    __slots__ = ("_before", "_most", "_now", "_span", "_turn")

    def __init__(self, span_ms: int) -> None:
        self._span = span_ms
        self._turn = 0
        self._now: int | None = None
        self._most = self._before = 0

    def note(self, price_micros: int, now_ms: int) -> None:
        """Take over what a share fetches from now on."""
        self._turn_to(now_ms)
        self._now = price_micros
        self._most = max(self._most, price_micros)

    def at(self, now_ms: int) -> int | None:
        """Return the most of the last one or two spans, micros a share; None: nobody knows."""
        self._turn_to(now_ms)
        return None if self._now is None else max(self._most, self._before)

    def _turn_to(self, now_ms: int) -> None:
        turn = now_ms // self._span
        if turn != self._turn:
            now = self._now or 0
            self._before = self._most if turn == self._turn + 1 else now
            self._turn, self._most = turn, now


class Figures(msgspec.Struct, frozen=True, gc=False):
    """An amount between two bounds, and as it is known while doubts last. Micros of USDC."""

    low_micros: int
    high_micros: int
    known_micros: int

    def plus(self, other: Figures, sign: int = 1) -> Figures:
        """Return the sum; with -1 the difference."""
        return Figures(
            self.low_micros + sign * other.low_micros,
            self.high_micros + sign * other.high_micros,
            self.known_micros + sign * other.known_micros,
        )


NOTHING = Figures(0, 0, 0)


def same(micros: int) -> Figures:
    """Return an amount without a doubt."""
    return Figures(micros, micros, micros)


class Position:
    """Shares of one outcome, and what they are worth as marks and time go by."""

    __slots__ = (
        "_before",
        "_patience",
        "_recent",
        "doubt_since_ms",
        "figures",
        "held",
        "lasts",
        "now",
    )

    def __init__(self, patience: Patience, before_micros: int | None) -> None:
        self._patience = patience
        self._recent = _Recent(patience.confirm_ms)
        self._before = before_micros
        self.held = OutcomePosition(0, 0)
        self.now = Valuation(0, 0, True)
        self.figures = NOTHING
        self.doubt_since_ms: int | None = None
        """Since when; None: its book is trusted."""
        self.lasts = False
        """The doubt is no passing one."""

    def mark(self, held: OutcomePosition, now: Valuation, now_ms: int) -> None:
        """Take over how many they are, and what they fetch."""
        self.held, self.now = held, now
        if now.trusted:
            self._recent.note(-(-now.high_micros * MICROS // held.shares_micros), now_ms)
            self.doubt_since_ms = None
        elif self.doubt_since_ms is None:
            self._before, self.doubt_since_ms = self.price_micros(now_ms), now_ms
        self.age(now_ms)

    def age(self, now_ms: int) -> None:
        """Let time go by."""
        since = self.doubt_since_ms
        self.lasts = since is not None and now_ms - since >= self._patience.doubt_ms
        self.figures = self.figures_of(self.held, self.now)

    def price_micros(self, now_ms: int) -> int | None:
        """Return what a share was worth lately, or before a doubt; None: nobody has seen it."""
        found = None if self.doubt_since_ms is not None else self._recent.at(now_ms)
        return self._before if found is None else found

    def figures_of(self, held: OutcomePosition, now: Valuation) -> Figures:
        """Return what so many shares count that would fetch this."""
        if not self.lasts:
            return Figures(now.low_micros, now.high_micros, now.low_micros)
        before = held.cost_micros
        if self._before is not None:
            before = notional_ceil(held.shares_micros, self._before)
        stands = min(before, now.high_micros)
        return Figures(now.low_micros, stands, stands)
