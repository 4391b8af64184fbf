"""A seeded market: prices wander, books stand around them, takers print.

The same seed gives the same day, event by event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from paper.clob.core.values import ONE, WHOLE, Market, Side
from paper.clob.feed.frames import BookEvent, Event, LevelEvent, TradeEvent

_LEVELS = 8


def seeded_markets(seed: int, count: int = 3) -> list[Market]:
    """Return markets for who names none."""
    rng = Random(f"markets {seed}")  # noqa: S311 - it decides no secret
    found = []
    for number in range(count):
        # Ids whose middle is empty would be positions of the other protocol.
        first, second = (str(rng.getrandbits(250) | 1 << 254 | 1 << 70) for _ in range(2))
        found.append(
            Market(
                condition=f"0x{rng.getrandbits(256):064x}",
                assets=(first, second),
                question=f"Paper market {number + 1}",
                fee_bps=rng.choice((0, 400, 500, 700)),
            )
        )
    return found


class Generator:
    """Makes the market of some conditions.

    Args:
        listed: they.
        seed: decides everything.
    """

    def __init__(self, listed: Sequence[Market], *, seed: int) -> None:
        self._rng = Random(f"market {seed}")  # noqa: S311 - it decides no secret
        self._listed = list(listed)
        self._middle = {of.condition: self._rng.randrange(2_000, 8_001) for of in listed}
        self._books: dict[str, dict[Side, dict[int, int]]] = {}

    def begin(self) -> Iterator[Event]:
        """The market as it is at the start."""
        for of in self._listed:
            book: dict[Side, dict[int, int]] = {
                "BUY": self._ladder(of, "BUY"),
                "SELL": self._ladder(of, "SELL"),
            }
            self._books[of.condition] = book
            yield BookEvent(of.condition, tuple(book["BUY"].items()), tuple(book["SELL"].items()))

    def step(self) -> Iterator[Event]:
        """Yield all that happens in one step."""
        for of in self._listed:
            yield from self._prints(of)
            moved = self._middle[of.condition] + self._rng.choice((-1, 0, 0, 1)) * of.tick
            lowest = (_LEVELS + 2) * of.tick
            self._middle[of.condition] = min(max(moved, lowest), WHOLE - lowest)
            yield from self._changes(of)

    def _ladder(self, of: Market, side: Side) -> dict[int, int]:
        middle = self._middle[of.condition] // of.tick * of.tick
        sign = -1 if side == "BUY" else 1
        prices = (middle + sign * (1 + number) * of.tick for number in range(_LEVELS))
        return {p: self._size() for p in prices if of.tick <= p <= WHOLE - of.tick}

    def _size(self) -> int:
        return self._rng.randrange(20, 2_000) * ONE

    def _prints(self, of: Market) -> Iterator[Event]:
        for _ in range(self._rng.choice((0, 0, 1, 2))):
            side: Side = self._rng.choice(("BUY", "SELL"))
            hit = self._books[of.condition]["SELL" if side == "BUY" else "BUY"]
            if not hit:
                continue
            price = min(hit) if side == "BUY" else max(hit)
            size = max(ONE, hit[price] * self._rng.randrange(5, 60) // 100 // ONE * ONE)
            yield TradeEvent(of.condition, side, price, size)
            hit[price] -= size
            yield LevelEvent(of.condition, "SELL" if side == "BUY" else "BUY", price, hit[price])
            if not hit[price]:
                del hit[price]

    def _changes(self, of: Market) -> Iterator[Event]:
        """From the book as it is to one around the new middle; what would cross goes first."""
        book = self._books[of.condition]
        sides: tuple[Side, Side] = ("BUY", "SELL")
        desired = {side: self._ladder(of, side) for side in sides}
        for side in sides:
            for price in [one for one in book[side] if one not in desired[side]]:
                del book[side][price]
                yield LevelEvent(of.condition, side, price, 0)
        for side in sides:
            for price, size in desired[side].items():
                if price not in book[side] or self._rng.random() < 0.1:
                    book[side][price] = size
                    yield LevelEvent(of.condition, side, price, size)
