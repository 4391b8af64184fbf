"""The result of a subscription or a wallet so far, between two bounds. Pure.

What finds no bid counts as nothing at least, and at most as worth the lowest bid there is: nobody
further down pays more. What has no book that can be trusted counts as nothing at least, and at most
as a dollar a share: no outcome pays more. So a loss is only what is one at the upper bound, and a
gain what is one at the lower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from tradingtools.domain.book import Book, BookStatus, sell_into
from tradingtools.domain.money import notional_ceil, notional_floor


class Worth(msgspec.Struct, frozen=True, gc=False):
    """The proceeds of shares, micros of USDC before fees."""

    low_micros: int
    high_micros: int
    trusted: bool
    """By a book that may be traded on, or by a payout."""


WorthOf = Callable[[str, int], Worth]
"""Of shares (micros) of an asset."""


def worth(book: Book | None, shares_micros: int) -> Worth:
    """Return what shares would fetch now.

    Args:
        book: the asset's newest; None: there is none.
        shares_micros: more than 0.
    """
    if book is not None and book.market.payout_micros is not None:
        value = notional_floor(shares_micros, book.market.payout_micros)
        return Worth(value, value, True)
    sale = None
    if book is not None and book.status is BookStatus.FRESH:
        sale = sell_into(book.bids, shares_micros)
    if sale is None:
        return Worth(0, shares_micros, False)
    low = sale.notional_micros
    rest = sale.wanted_micros - sale.size_micros
    return Worth(low, low + notional_ceil(rest, sale.worst_micros), True)


class Account:
    """The result of a subscription, or of all of a wallet, kept as lots and marks move.

    Attributes:
        low_micros, high_micros: the result, USDC.
        doubtful: outcomes without a book that can be trusted.
    """

    __slots__ = ("_settled", "_worths", "doubtful", "held", "high_micros", "low_micros")

    def __init__(self) -> None:
        self._settled = 0
        self.held: Mapping[str, int] = {}
        self._worths: dict[str, Worth] = {}
        self.low_micros = self.high_micros = self.doubtful = 0

    @property
    def value_micros(self) -> int:
        """Return what all that is held fetches at least."""
        return self.low_micros - self._settled

    def put(self, settled_micros: int, held: Mapping[str, int], worth_of: WorthOf) -> None:
        """Take over what the ledger says.

        Args:
            settled_micros: realised, less fees, less the cost of what is held.
            held: shares by asset, each more than 0.
            worth_of: says what they fetch now.
        """
        self._settled, self.held = settled_micros, held
        self._worths = {asset: worth_of(asset, shares) for asset, shares in held.items()}
        worths = self._worths.values()
        self.low_micros = settled_micros + sum(w.low_micros for w in worths)
        self.high_micros = settled_micros + sum(w.high_micros for w in worths)
        self.doubtful = sum(not w.trusted for w in worths)

    def mark(self, asset_id: str, now: Worth) -> None:
        """Take over what an asset that is held fetches now."""
        before = self._worths[asset_id]
        self._worths[asset_id] = now
        self.low_micros += now.low_micros - before.low_micros
        self.high_micros += now.high_micros - before.high_micros
        self.doubtful += before.trusted - now.trusted
