"""What subscriptions hold and have brought: rows of PostgreSQL, valued by books in memory.

The books come by bookfeed's stream of everything that is held, so that a list of two hundred
subscriptions asks nobody, and a bookfeed that is away costs the worths and not the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.control.core.sums import delays
from services.control.core.valuation import Total, Worth, total, worth
from services.control.store import Row, Store, queries
from tradingtools.domain.book import Book

_SQL = queries("holdings")

BookOf = Callable[[str], Book | None]
"""The newest book of an asset that is in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What a subscription's copies are worth, and how well they were made."""

    held: Total
    payouts_micros: int
    """What resolved markets paid."""
    slippage_micros: int
    """USDC that fills were worse than the leader's price."""
    delays_us: tuple[int, int, int] | None
    """Median, 90th percentile and last copy delay, microseconds; None: no copy has ended."""


class Holdings:
    """The lots in a store.

    Args:
        store: of the rows.
        book: the newest book of an asset.
    """

    def __init__(self, store: Store, book: BookOf) -> None:
        self._store = store
        self._book = book

    def worth(self, lot: Row) -> Worth | None:
        """What a lot is worth; None when it holds nothing or has no fresh book."""
        shares = lot["shares_micros"]
        return worth(self._book(lot["asset_id"]), shares) if shares else None

    def performance(self, row: Row) -> Performance:
        """Of a subscription as it is shown."""
        held = [
            (cost, worth(self._book(asset), shares)) for asset, shares, cost in row["held"] or ()
        ]
        return Performance(
            held=total(held),
            payouts_micros=row["payouts"],
            slippage_micros=row["slippage"],
            delays_us=delays(row["delays"]),
        )

    async def positions(
        self, identifier: str, condition_id: str, after: tuple[str, str], limit: int, *, open_: bool
    ) -> Sequence[Row]:
        """Lots of a subscription by (market, outcome), after such a key.

        Args:
            identifier: of the subscription.
            condition_id: only of this market; empty: of all.
            after: ``("", "")`` for the first page.
            limit: at most so many.
            open_: only what holds shares.
        """
        return await self._store.found(
            _SQL["positions"],
            id=identifier,
            condition_id=condition_id,
            open=open_,
            after_condition=after[0],
            after_asset=after[1],
            limit=limit,
        )
