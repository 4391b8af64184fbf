"""A seeded market: indexes wander, books stand around them, takers print, funding follows.

The same seed and start give the same day, event by event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from paper.matching.values import Side
from paper.okx.core.amounts import ONE
from paper.okx.core.instruments import Instrument
from paper.okx.feed.events import (
    BookEvent,
    FeedEvent,
    FundingEvent,
    IndexEvent,
    LevelEvent,
    MarkEvent,
    TradeEvent,
)
from paper.okx.wire.orders import index_of

FUNDING_MS = 8 * 3600 * 1000
_LEVELS = 20
_BEGIN = {"BTC": 60_000, "ETH": 3_000}
_STEP_PPM = 60
"""An index moves by so much in a step at most."""
_WIDTH_PPM = 20
"""A level is so far from the next one."""


@dataclass(slots=True)
class _BookState:
    """The book as it was told last."""

    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)


class Generator:
    """Makes the market of a list of instruments."""

    def __init__(self, listed: Sequence[Instrument], *, seed: int, start_ms: int) -> None:
        self._listed: list[Instrument] = []
        self._rng = Random(seed)  # noqa: S311 - it decides no secret
        self._start_ms = start_ms
        self._prices = {base: price * ONE for base, price in _BEGIN.items()}
        self._made: dict[str, _BookState] = {}
        self._basis: dict[str, int] = {}
        self.add_instruments(listed)

    def add_instruments(self, listed: Sequence[Instrument]) -> None:
        """Make the market of more instruments; one that is known stays as it is."""
        for of in listed:
            if of.inst_id not in self._made:
                self._listed.append(of)
                self._made[of.inst_id] = _BookState()
                self._basis[of.inst_id] = self._rng.randint(-300, 300)

    def begin(self) -> Iterator[FeedEvent]:
        """The market as it is at the start."""
        yield from self.prices()
        for of in self._listed:
            made = self._made[of.inst_id]
            made.bids, made.asks = self._ladder(of, "buy"), self._ladder(of, "sell")
            yield BookEvent(of.inst_id, tuple(made.bids.items()), tuple(made.asks.items()))

    def prices(self) -> Iterator[FeedEvent]:
        """Yield what is told of the market apart from its orders."""
        yield from self._indexes()
        for of in self._listed:
            yield MarkEvent(of.inst_id, self._middle(of))
            if of.kind == "SWAP":
                yield self._funding(of)

    def step(self) -> Iterator[FeedEvent]:
        """Yield all that happens in one step."""
        for base in self._prices:
            move = self._rng.randint(-_STEP_PPM, _STEP_PPM)
            self._prices[base] = self._prices[base] * (10**6 + move) // 10**6
        yield from self._indexes()
        for of in self._listed:
            yield from self._prints(of)
            yield from self._changes(of)
            yield MarkEvent(of.inst_id, self._middle(of))
            if of.kind == "SWAP" and self._rng.random() < 0.01:
                yield self._funding(of)

    def _indexes(self) -> Iterator[FeedEvent]:
        names = sorted({index_of(of) for of in self._listed})
        for name in names:
            yield IndexEvent(name, self._prices[name[:3]])

    def _middle(self, of: Instrument) -> int:
        price = self._prices[of.inst_id[:3]]
        basis = self._basis[of.inst_id] if of.is_contract else 0
        return max(1, price * (10**6 + basis) // 10**6 // of.tick)

    def _ladder(self, of: Instrument, side: Side) -> dict[int, int]:
        """Levels on a grid of their own, so that most of them stay when the middle moves."""
        middle = self._middle(of)
        width = max(1, middle * _WIDTH_PPM // 10**6)
        first = middle // width + (side == "sell")
        step = 1 if side == "sell" else -1
        prices = (width * (first + step * number) for number in range(_LEVELS))
        return {price: self._lots(of) for price in prices if price > 0}

    def _lots(self, of: Instrument) -> int:
        """A size worth some thousands to some hundred thousands of dollars."""
        value = self._rng.choice((2, 5, 10, 40, 200)) * 1000 * self._rng.randint(5, 15) // 10
        if of.inverse:
            return max(of.min_lots, value * ONE // of.contract)
        return max(of.min_lots, value * ONE // of.worth(self._middle(of)))

    def _prints(self, of: Instrument) -> Iterator[FeedEvent]:
        made = self._made[of.inst_id]
        for _ in range(self._rng.choice((0, 0, 1, 1, 2))):
            side: Side = self._rng.choice(("buy", "sell"))
            hit = made.asks if side == "buy" else made.bids
            if not hit:
                continue
            price = min(hit) if side == "buy" else max(hit)
            lots = max(of.min_lots, hit[price] * self._rng.randint(5, 60) // 100)
            lots = min(lots, hit[price])
            yield TradeEvent(of.inst_id, side, price, lots)
            hit[price] -= lots
            yield LevelEvent(of.inst_id, "sell" if side == "buy" else "buy", price, hit[price])
            if not hit[price]:
                del hit[price]

    def _changes(self, of: Instrument) -> Iterator[FeedEvent]:
        """From the book as it is to one around the new middle; what would cross goes first."""
        made = self._made[of.inst_id]
        sides: tuple[tuple[Side, dict[int, int]], ...] = (("buy", made.bids), ("sell", made.asks))
        desired: dict[Side, dict[int, int]] = {side: self._ladder(of, side) for side, _ in sides}
        for side, now in sides:
            for price in [one for one in now if one not in desired[side]]:
                del now[price]
                yield LevelEvent(of.inst_id, side, price, 0)
        for side, now in sides:
            for price, lots in desired[side].items():
                if price not in now or self._rng.random() < 0.1:
                    now[price] = lots
                    yield LevelEvent(of.inst_id, side, price, lots)

    def _funding(self, of: Instrument) -> FundingEvent:
        at_ms = (self._start_ms // FUNDING_MS + 1) * FUNDING_MS
        rate, following = (self._rng.randint(-150_000, 250_000) for _ in range(2))
        return FundingEvent(of.inst_id, rate, following, at_ms, FUNDING_MS)
