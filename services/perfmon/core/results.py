"""The result of a subscription or a wallet so far, between two bounds. Pure.

What finds no bid counts as nothing at least, and at most as worth the lowest bid there is: nobody
further down pays more. Where nobody bids at all, it is the best ask: for that, anybody can buy one.
What has no book that can be trusted counts as nothing at least, and at most as a dollar a share: no
outcome pays more. So a loss is only what is one at the upper bound, and a gain what is one at the
lower.

Shares that come or go without an order of ours, as those that are adopted, are no result either:
they count from what they were worth when they came, to what they are worth when they go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.perfmon.core.position import (
    NOTHING,
    Figures,
    OutcomePosition,
    Patience,
    Position,
    Valuation,
    same,
)
from tradingtools.domain.book import Book, BookStatus, sell_into
from tradingtools.domain.money import MICROS, notional_ceil, notional_floor

WorthOf = Callable[[str, int], Valuation]
"""Of shares (micros) of an asset."""


def worth(book: Book | None, shares_micros: int) -> Valuation:
    """Return what shares would fetch now.

    Args:
        book: the asset's newest; None: there is none.
        shares_micros: more than 0.
    """
    if book is not None and book.market.payout_micros is not None:
        value = notional_floor(shares_micros, book.market.payout_micros)
        return Valuation(value, value, True)
    if book is None or book.status is not BookStatus.FRESH:
        return Valuation(0, shares_micros, False)
    sale = sell_into(book.bids, shares_micros)
    if sale is not None:
        low = sale.notional_micros
        rest = sale.desired_micros - sale.size_micros
        return Valuation(low, low + notional_ceil(rest, sale.worst_micros), True)
    ask = book.asks[0][0] if book.asks else MICROS
    return Valuation(0, notional_ceil(shares_micros, ask), False)


class Account:
    """The result of a subscription, or of all of a wallet, kept as lots and marks move.

    Args:
        patience: how long a doubt may be.
        worth_of: says what shares fetch now.

    Attributes:
        low_micros, high_micros, known_micros: the result, with everything that has come or gone
            without an order.
        flows: what has come without an order and not gone again, since ever, by asset.
        held: by asset.
        doubtful: outcomes in a passing doubt: what is known is not all.
        lasting: outcomes in a doubt that lasts.
    """

    __slots__ = (
        "_left", "_patience", "_positions", "_settled", "_stood", "_worth_of", "doubtful", "flows",
        "held", "high_micros", "known_micros", "lasting", "low_micros",
    )  # fmt: skip

    def __init__(self, patience: Patience, worth_of: WorthOf) -> None:
        self._patience = patience
        self._worth_of = worth_of
        self._settled = 0
        self.held: Mapping[str, OutcomePosition] = {}
        self.flows: Mapping[str, OutcomePosition] = {}
        self._positions: dict[str, Position] = {}
        self._stood: dict[str, int] = {}
        """What a share was worth before a doubt, as another life has seen it."""
        self._left: dict[str, int | None] = {}
        """What a share was worth of what is held no more."""
        self.low_micros = self.high_micros = self.known_micros = 0
        self.doubtful = self.lasting = 0

    @property
    def value_micros(self) -> int:
        """Return what all that is held is worth."""
        return self.known_micros - self._settled

    def restore(self, stood: Mapping[str, int]) -> None:
        """Take over what shares were worth before doubts that lasted, micros each."""
        self._stood.update(stood)

    def put(
        self,
        settled_micros: int,
        held: Mapping[str, OutcomePosition],
        now_ms: int,
        flows: Mapping[str, OutcomePosition] | None = None,
    ) -> None:
        """Take over what the ledger says.

        Args:
            settled_micros: realised, less fees, less the cost of what is held.
            held: by asset, each with more than 0 shares.
            now_ms: the time, milliseconds since 1970.
            flows: what has come without an order and not gone again; None: nothing.
        """
        before, moved = self._positions, flows or {}
        self._left |= {a: before[a].price_micros(now_ms) for a in moved.keys() & before.keys()}
        self._settled, self.held, self.flows = settled_micros, held, moved
        self._positions = {
            asset: before.get(asset) or Position(self._patience, self._stood.get(asset))
            for asset in held
        }
        self.low_micros = self.high_micros = self.known_micros = settled_micros
        self.doubtful = self.lasting = 0
        for asset, shares in held.items():
            position = self._positions[asset]
            position.mark(shares, self._worth_of(asset, shares.shares_micros), now_ms)
            self._count(position, 1)

    def mark(self, asset_id: str, now: Valuation, now_ms: int) -> None:
        """Take over what an asset that is held fetches now."""
        position = self._positions[asset_id]
        self._count(position, -1)
        position.mark(position.held, now, now_ms)
        self._count(position, 1)

    def age(self, now_ms: int) -> None:
        """Let time go by: passing doubts begin to last."""
        if not self.doubtful:
            return
        for position in self._positions.values():
            if position.doubt_since_ms is not None and not position.lasts:
                self._count(position, -1)
                position.age(now_ms)
                self._count(position, 1)

    def stood(self) -> dict[str, int]:
        """Return what a share was worth before each doubt that lasts, if somebody has seen it."""
        lasting = ((a, p) for a, p in self._positions.items() if p.lasts)
        return {a: price for a, p in lasting if (price := p.price_micros(0)) is not None}

    def moved(self, asset_id: str, came: OutcomePosition) -> tuple[Figures, bool]:
        """Return by how much shares have moved the result that came without an order, and whether
        that is certain: their book is trusted, or they have gone.

        Args:
            asset_id: of them.
            came: how many, and what they had cost; less than 0: they went.
        """
        position = self._positions.get(asset_id)
        held = OutcomePosition(0, 0) if position is None else position.held
        size, cost = came.shares_micros, same(came.cost_micros)
        without = held.less(came)
        certain = position is not None and position.now.trusted
        if position is None or without.shares_micros < 0 or (size < 0 and not certain):
            return self._gone(asset_id, came), True
        rest = Valuation(0, 0, True)
        if without.shares_micros:
            rest = self._worth_of(asset_id, without.shares_micros)
        moved = position.figures.plus(position.figures_of(without, rest), -1)
        return moved.plus(cost, -1), certain

    def _gone(self, asset_id: str, came: OutcomePosition) -> Figures:
        """Return the same of shares that have gone, or of which some have."""
        price = self._left.get(asset_id)
        if price is None:
            return NOTHING
        value = abs(came.shares_micros) * price // MICROS
        return same((value if came.shares_micros > 0 else -value) - came.cost_micros)

    def _count(self, position: Position, sign: int) -> None:
        figures = position.figures
        self.low_micros += sign * figures.low_micros
        self.high_micros += sign * figures.high_micros
        self.known_micros += sign * figures.known_micros
        if position.doubt_since_ms is not None:
            if position.lasts:
                self.lasting += sign
            else:
                self.doubtful += sign
