"""A book as decisions see it: levels best first, and what a size would really fetch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import overload

import msgspec

from tradingtools.domain.money import MICROS

Level = tuple[int, int]
"""Price and size, both micros."""


class LevelColumns(Sequence[Level]):
    """Levels as two columns, as marks bring them: one becomes a pair when somebody looks at it.

    Most books move nothing, and of those only the first level or two are looked at.

    Args:
        prices: best first; neither column is changed any more.
        sizes: of the same levels, as many.
    """

    __slots__ = ("_prices", "_sizes")

    def __init__(self, prices: list[int], sizes: list[int]) -> None:
        self._prices = prices
        self._sizes = sizes

    def __len__(self) -> int:
        return len(self._prices)

    def __iter__(self) -> Iterator[Level]:
        return zip(self._prices, self._sizes, strict=True)

    @overload
    def __getitem__(self, at: int) -> Level: ...
    @overload
    def __getitem__(self, at: slice) -> LevelColumns: ...
    def __getitem__(self, at: int | slice) -> Level | LevelColumns:
        if isinstance(at, slice):
            return LevelColumns(self._prices[at], self._sizes[at])
        return self._prices[at], self._sizes[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | LevelColumns) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


class BookStatus(StrEnum):
    """The status of a book, which decides whether it may be traded on."""

    FRESH = "FRESH"
    STALE = "STALE"
    CROSSED = "CROSSED"
    EMPTY = "EMPTY"
    UNSEEN = "UNSEEN"
    """The market is known, its book is not there yet: it has no level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The rules of a market that an order has to respect. Amounts in micros."""

    asset_id: str
    condition_id: str
    tick_micros: int
    min_size_micros: int
    fee_rate_micros: int
    closed: bool
    payout_micros: int | None
    category: str = "other"
    """Lower case."""
    end_ms: int | None = None
    """When trading is expected to end, milliseconds since the epoch; None: unknown."""


class Book(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One asset's book at one instant."""

    market: Market
    status: BookStatus
    bids: Sequence[Level]
    asks: Sequence[Level]
    book_ms: int
    revision: int = 0
    received_ns: int = 0
    """When bookfeed had received it, since the epoch; 0: not reported."""

    @property
    def usable(self) -> bool:
        """Return whether its levels are the venue's: others say nothing, or there are none yet."""
        return self.status in (BookStatus.FRESH, BookStatus.EMPTY)


class Sale(msgspec.Struct, frozen=True):
    """The result of selling into the bids."""

    desired_micros: int
    """Shares that are to be sold."""
    size_micros: int
    """Those of them that find a bid."""
    product: int
    """Sum of size x price, exact: in millionths of a micro of USDC."""
    worst_micros: int
    """The lowest bid that is needed."""

    @property
    def notional_micros(self) -> int:
        """USDC for them, rounded down."""
        return self.product // MICROS

    @property
    def average_micros(self) -> int:
        """USDC per share over what can be sold, rounded down once."""
        return self.product // self.size_micros

    @property
    def whole_average_micros(self) -> int:
        """USDC per share over all that are to be sold, rounded down: without a bid, one fetches
        nothing."""
        return self.product // self.desired_micros


def depth(
    levels: Sequence[Level], limit_micros: int, *, buying: bool, enough_micros: int | None = None
) -> int:
    """Shares on the book at the limit or better; once there are enough, no more are counted."""
    found = 0
    for price, size in levels:
        if price > limit_micros if buying else price < limit_micros:
            break
        found += size
        if enough_micros is not None and found >= enough_micros:
            break
    return found


def sell_into(bids: Sequence[Level], size_micros: int) -> Sale | None:
    """Walk the bids, best first; None when there is none."""
    left, product, worst = size_micros, 0, 0
    for price, size in bids:
        taken = min(size, left)
        product += taken * price
        left -= taken
        worst = price
        if left == 0:
            break
    sold = size_micros - left
    if sold <= 0:
        return None
    return Sale(size_micros, sold, product, worst)


class Curve:
    """Proceeds of any size sold into the same bids: for many sizes, each of them looked up.

    Args:
        bids: best first.
    """

    def __init__(self, bids: Sequence[Level]) -> None:
        self._bids = bids
        self._sizes = list(accumulate(size for _, size in bids))
        self._products = list(accumulate((price * size for price, size in bids), initial=0))

    def product(self, size_micros: int) -> int:
        """Sum of size x price, as a :class:`Sale`'s: what finds no bid adds nothing."""
        whole = bisect_left(self._sizes, size_micros)
        if whole == len(self._bids):
            return self._products[whole]
        left = size_micros - (self._sizes[whole - 1] if whole else 0)
        return self._products[whole] + left * self._bids[whole][0]

    def covers(self, other: Curve, size_micros: int) -> bool:
        """Return whether no size up to this one sells for more into the bids of another."""
        # Between two ends of its levels the other is straight, and this one nowhere bends upwards.
        for size, product in zip(other._sizes, other._products[1:], strict=True):
            if size >= size_micros:
                break
            if self.product(size) < product:
                return False
        return self.product(size_micros) >= other.product(size_micros)
