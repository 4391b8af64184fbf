"""The books as they stand now: anchors set by trades, pins set by an operator, resolutions.

The one place that says what a book is at an instant; web socket and REST both ask here, so they
agree. A book moves on a grid of a quarter of a second, each market at its own phase, and at once
when a trade or a pin moves it. Before: `player`, `control`. After: `clob`, `rest_*`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paper.venue.core import amounts, rng
from paper.venue.core.books import Anchor, Book, Level, around, book, mirrored, trade_anchor
from paper.venue.core.markets import COARSE, FINE, Catalogue, Market, of_trade
from paper.venue.core.trade import Trade

_GRID_MS = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A price an operator holds, in terms of one asset: best prices, or whole sides. Micros."""

    bid: int
    ask: int
    levels: tuple[tuple[Level, ...], tuple[Level, ...]] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The book of asset 0, since when (ms) it is so, and on which grid step it was computed."""

    book: Book
    changed_ms: int
    step: int


class LiveBooks:
    """All books of the venue. Times are wall clock ms; `epoch_ms` is when the run began."""

    def __init__(self, catalogue: Catalogue, seed: int, epoch_ms: int) -> None:
        self.catalogue = catalogue
        self.resolved: dict[str, tuple[int, int]] = {}
        self._seed = seed
        self._epoch_ms = epoch_ms
        self._anchors: dict[str, Anchor] = {}
        self._pins: dict[str, tuple[int, Pin]] = {}
        self._fine: set[str] = set()
        self._last: dict[str, Trade] = {}
        self._keys: dict[str, int] = {}
        self._views: dict[str, View] = {}

    def market_of(self, trade: Trade) -> Market:
        """The market of a trade; an unknown one is opened.

        Raises ValueError when the asset belongs to another condition than the trade says.
        """
        market = self.catalogue.by_asset.get(trade.asset)
        if market is None:
            if trade.condition in self.catalogue.by_condition:
                raise ValueError("asset: not one of the two assets of conditionId")
            market = of_trade(trade, self._seed)
            self.catalogue = self.catalogue.plus(market)
        elif market.condition != trade.condition:
            raise ValueError("conditionId: not the market of asset")
        return market

    def move(self, trade: Trade, row: int | None, at_ms: int) -> None:
        """Put the book where `trade` (row of the tape, None: injected) will be plausible."""
        market = self.market_of(trade)
        index = market.index(trade.asset)
        self._anchors[market.condition] = trade_anchor(trade.side, trade.price, index, at_ms)
        if row is not None and market.fine_from is not None and row >= market.fine_from:
            self._fine.add(market.condition)
        self._views.pop(market.condition, None)

    def traded(self, trade: Trade) -> None:
        """Remember the last trade of its asset."""
        self._last[trade.asset] = trade

    def last_price(self, asset: str) -> tuple[str, str]:
        """Price text and side of the last trade, the venue's placeholder if there was none."""
        last = self._last.get(asset)
        return (last.price_text, last.side) if last else ("0.5", "")

    def tick(self, market: Market) -> int:
        """The tick now, in micros of price."""
        return FINE if market.fine_from == 0 or market.condition in self._fine else COARSE

    def pin(self, asset: str, pin: Pin) -> None:
        """Hold the book of `asset` until it is unpinned. The pin must lie on the tick."""
        market = self.catalogue.by_asset[asset]
        self._pins[market.condition] = (market.index(asset), pin)
        self._views.pop(market.condition, None)

    def unpin(self, asset: str) -> None:
        """Let the book of `asset` walk again."""
        market = self.catalogue.by_asset[asset]
        self._pins.pop(market.condition, None)
        self._views.pop(market.condition, None)

    def resolve(self, condition: str, payouts: tuple[int, int]) -> None:
        """Close a market; `payouts` in micros a share of each asset."""
        self.resolved[condition] = payouts
        self._views.pop(condition, None)

    def view(self, market: Market, now_ms: int) -> View:
        """The book of asset 0 now; empty when the market is resolved."""
        key = self._key(market)
        step = (now_ms + key % _GRID_MS) // _GRID_MS
        held = self._views.get(market.condition)
        if held and held.step == step:
            return held
        current = self._compute(market, key, now_ms)
        changed_ms = held.changed_ms if held and held.book == current else now_ms
        self._views[market.condition] = View(current, changed_ms, step)
        return self._views[market.condition]

    def mids(self, market: Market, now_ms: int) -> tuple[int, int]:
        """Mid price of each asset in micros; the payouts of a resolved market."""
        if market.condition in self.resolved:
            return self.resolved[market.condition]
        current = self.view(market, now_ms).book
        mid = (current.best_bid + current.best_ask) // 2
        return mid, amounts.ONE - mid

    def _compute(self, market: Market, key: int, now_ms: int) -> Book:
        tick = self.tick(market)
        if market.condition in self.resolved:
            return Book((), (), tick)
        if market.condition in self._pins:
            index, pin = self._pins[market.condition]
            own = _pinned(key, pin, tick, now_ms)
            return mirrored(own) if index else own
        opening = Anchor(self._epoch_ms, market.opening, "BUY")
        return book(key, self._anchors.get(market.condition, opening), tick, now_ms)

    def _key(self, market: Market) -> int:
        key = self._keys.get(market.condition)
        if key is None:
            key = self._keys[market.condition] = rng.key(self._seed, "book", market.condition)
        return key


def checked_pin(
    *,
    tick: int,
    mid: int | None,
    best: tuple[int, int] | None,
    levels: tuple[Sequence[Level], Sequence[Level]] | None,
) -> Pin:
    """A pin from exactly one of a mid price, best prices or whole sides (any order), in micros.

    Raises ValueError naming what is wrong: off the tick, crossed, out of range, no size.
    """
    if sum(x is not None for x in (mid, best, levels)) != 1:
        raise ValueError("give exactly one of: mid; best_bid and best_ask; bids and asks")
    if mid is not None:
        if not tick <= mid <= amounts.ONE - tick:
            raise ValueError(f"mid: must lie between {amounts.text(tick)} and one tick below 1")
        bid = min(max(mid // tick * tick, tick), amounts.ONE - 2 * tick)
        return Pin(bid=bid, ask=bid + tick)
    if levels is not None:
        return _levels_pin(levels, tick)
    assert best is not None  # noqa: S101 - the count above leaves nothing else
    _on_tick("best_bid", best[0], tick)
    _on_tick("best_ask", best[1], tick)
    if best[0] >= best[1]:
        raise ValueError("best_bid: not below best_ask")
    return Pin(bid=best[0], ask=best[1])


def _levels_pin(levels: tuple[Sequence[Level], Sequence[Level]], tick: int) -> Pin:
    for name, side in zip(("bids", "asks"), levels, strict=True):
        if len({level.price for level in side}) != len(side):
            raise ValueError(f"{name}: one price twice")
        for level in side:
            _on_tick(name, level.price, tick)
            if level.size <= 0:
                raise ValueError(f"{name}: a size is not above zero")
    bids = tuple(sorted(levels[0], key=lambda level: level.price))
    asks = tuple(sorted(levels[1], key=lambda level: -level.price))
    bid = bids[-1].price if bids else 0
    ask = asks[-1].price if asks else amounts.ONE
    if bid >= ask:
        raise ValueError("bids: the best is not below the best of asks")
    return Pin(bid=bid, ask=ask, levels=(bids, asks))


def _on_tick(name: str, price: int, tick: int) -> None:
    if price % tick or not tick <= price <= amounts.ONE - tick:
        raise ValueError(
            f"{name}: {amounts.text(price)} is not a price on the tick {amounts.text(tick)}"
        )


def _pinned(key: int, pin: Pin, tick: int, now_ms: int) -> Book:
    if pin.levels is not None:
        return Book(pin.levels[0], pin.levels[1], tick)
    return around(key, pin.bid, pin.ask, tick, now_ms)
