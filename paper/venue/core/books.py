"""The book of a market as a function of seed, anchor and time.

An anchor is what the last leader trade said of the price. For a moment the book stands at it, then
it wanders around it, far enough that exits placed some percent away are reached. All is computed
for asset 0 in integers; the other asset's book is its mirror at 1 - p.
Wire order: bids ascend, asks descend, the best level is LAST on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha1

from paper.venue.core import amounts, rng
from paper.venue.core.trade import Side

_HOLD_MS = 1_500  # the book stands at the traded price this long
_DEPTH = 10  # ticks looked at on each side
_STEP = 10_000  # sizes are multiples of 0.01 share
_MAX_SIZE = 200_000 * amounts.ONE


@dataclass(frozen=True, slots=True)
class Level:
    """Shares offered at a price, both in micros."""

    price: int
    size: int


@dataclass(frozen=True, slots=True)
class Book:
    """Levels in wire order and the tick they lie on (micros of price)."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    tick: int

    @property
    def best_bid(self) -> int:
        """Micros; 0 when nobody bids."""
        return self.bids[-1].price if self.bids else 0

    @property
    def best_ask(self) -> int:
        """Micros; one whole when nobody asks."""
        return self.asks[-1].price if self.asks else amounts.ONE


@dataclass(frozen=True, slots=True)
class Anchor:
    """Price of asset 0 (micros) at `at_ms`; `side` BUY: it was the ask, SELL: it was the bid."""

    at_ms: int
    price: int
    side: Side


@dataclass(frozen=True, slots=True)
class Change:
    """A level's new total (0: gone) and the best prices once it is applied, in micros."""

    side: Side
    price: int
    size: int
    best_bid: int
    best_ask: int


def quote(key: int, anchor: Anchor, tick: int, now_ms: int) -> tuple[int, int]:
    """Best bid and best ask of asset 0 in micros: tick <= bid < ask <= 1 - tick."""
    wide = 1 if tick >= 10_000 else 4
    spread = tick * rng.between(rng.mix(key, now_ms // 5_000), 1, 1 + wide)
    price = _on_tick(anchor.price + _drift(key, anchor, tick, now_ms), tick)
    if anchor.side == "BUY":
        ask = min(max(price, 2 * tick), amounts.ONE - tick)
        return max(ask - spread, tick), ask
    bid = min(max(price, tick), amounts.ONE - 2 * tick)
    return bid, min(bid + spread, amounts.ONE - tick)


def book(key: int, anchor: Anchor, tick: int, now_ms: int) -> Book:
    """The whole book of asset 0 of the market that `key` stands for."""
    bid, ask = quote(key, anchor, tick, now_ms)
    return around(key, bid, ask, tick, now_ms)


def around(key: int, bid: int, ask: int, tick: int, now_ms: int) -> Book:
    """A book of several levels behind the given best prices (micros, on the tick, bid < ask)."""
    thin = rng.hits(rng.mix(key ^ 0x7417, now_ms // 12_000), 80)
    lowest, highest = max(bid - _DEPTH * tick, tick), min(ask + _DEPTH * tick, amounts.ONE - tick)
    bids = (_level(key, "BUY", p, p == bid, thin, now_ms) for p in range(lowest, bid + 1, tick))
    asks = (_level(key, "SELL", p, p == ask, thin, now_ms) for p in range(highest, ask - 1, -tick))
    return Book(tuple(x for x in bids if x), tuple(x for x in asks if x), tick)


def mirrored(of: Book) -> Book:
    """The book of the other asset: who bids p for one asks 1 - p for the other."""
    return Book(
        tuple(Level(amounts.ONE - level.price, level.size) for level in of.asks),
        tuple(Level(amounts.ONE - level.price, level.size) for level in of.bids),
        of.tick,
    )


def mirrored_change(change: Change) -> Change:
    """The same change as the other asset sees it."""
    return Change(
        "SELL" if change.side == "BUY" else "BUY",
        amounts.ONE - change.price,
        change.size,
        amounts.ONE - change.best_ask,
        amounts.ONE - change.best_bid,
    )


def changes(old: Book, new: Book) -> tuple[Change, ...]:
    """Return what turns `old` into `new`, so ordered that no state between is crossed.

    Levels that go leave first; what then stands is part of both books.
    """
    sides: tuple[tuple[Side, dict[int, int], dict[int, int]], ...] = (
        ("BUY", _ladder(old.bids), _ladder(new.bids)),
        ("SELL", _ladder(old.asks), _ladder(new.asks)),
    )
    gone = [(s, p, 0) for s, before, after in sides for p in before if p not in after]
    kept = [(s, p, z) for s, before, after in sides for p, z in after.items() if before.get(p) != z]
    standing = {"BUY": dict(sides[0][1]), "SELL": dict(sides[1][1])}
    result = []
    for side, price, size in gone + kept:
        if size:
            standing[side][price] = size
        else:
            del standing[side][price]
        bid = max(standing["BUY"], default=0)
        ask = min(standing["SELL"], default=amounts.ONE)
        result.append(Change(side, price, size, bid, ask))
    return tuple(result)


def applied(to: Book, changed: Iterable[Change], tick: int) -> Book:
    """The book after the changes."""
    sides = {"BUY": _ladder(to.bids), "SELL": _ladder(to.asks)}
    for change in changed:
        sides[change.side].pop(change.price, None)
        if change.size:
            sides[change.side][change.price] = change.size
    bids = tuple(Level(price, size) for price, size in sorted(sides["BUY"].items()))
    asks = tuple(Level(price, size) for price, size in sorted(sides["SELL"].items(), reverse=True))
    return Book(bids, asks, tick)


def digest(asset: str, of: Book) -> str:
    """The `hash` of a book: 40 hex digits that depend on its asset and levels only."""
    levels = ";".join(f"{x.price}:{x.size}" for x in (*of.bids, Level(0, of.tick), *of.asks))
    return sha1(f"{asset}|{levels}".encode(), usedforsecurity=False).hexdigest()


def trade_anchor(side: Side, price: int, index: int, at_ms: int) -> Anchor:
    """The anchor that a trade of asset `index` sets."""
    if index == 0:
        return Anchor(at_ms, price, side)
    return Anchor(at_ms, amounts.ONE - price, "SELL" if side == "BUY" else "BUY")


def _drift(key: int, anchor: Anchor, tick: int, now_ms: int) -> int:
    """Micros away from the anchor: random knots some seconds apart, straight lines between."""
    age = now_ms - anchor.at_ms - _HOLD_MS
    if age <= 0:
        return 0
    walk = key ^ anchor.at_ms
    gap = rng.between(rng.mix(walk, 0), 3_000, 8_000)
    reach = anchor.price * rng.between(rng.mix(key, 1), 6, 20) // 100
    reach = max(reach, 3 * tick)
    knot, within = divmod(age, gap)
    before, after = (
        rng.between(rng.mix(walk, n + 2), -reach, reach) if n else 0 for n in (knot, knot + 1)
    )
    return before + (after - before) * within // gap


def _level(key: int, side: Side, price: int, best: bool, thin: bool, now_ms: int) -> Level | None:
    own = rng.mix(key ^ (1 if side == "BUY" else 2), price)
    if not best and own % 5 == 0:
        return None
    period = rng.between(own >> 8, 3_000, 25_000)
    draw = rng.mix(own, (now_ms + (own >> 32) % period) // period)
    notional = rng.between(draw, 60, 900) * amounts.ONE
    size = notional * amounts.ONE // price // (40 if thin else 1)
    return Level(price, min(max(size // _STEP * _STEP, amounts.ONE), _MAX_SIZE))


def _on_tick(price: int, tick: int) -> int:
    return (price + tick // 2) // tick * tick


def _ladder(levels: tuple[Level, ...]) -> dict[int, int]:
    return {level.price: level.size for level in levels}
