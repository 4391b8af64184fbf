"""Find the triggers that a new book may move, by a lookup and not by a scan.

The worker judges what this finds, exactly; what it leaves out, `judge` would leave alone as well.

What a size fetches a share falls with the size, so the two ends of a class of sizes bound what any
size of the class fetches. A class holds the sizes of one power of two; in it, prices are sorted by
the way the market has to go to reach them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from services.guard.core.trigger import (
    RISING,
    Trigger,
    fire_price,
    lowest_peak,
    next_size,
    seen_peak,
)
from tradingtools.domain.book import Book, BookStatus, Curve, Level, sell_into
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import TriggerType


class Direction(Enum):
    """Where what a size fetches has to be for a trigger to move."""

    DOWN = auto()
    """At the price or below it."""
    UP = auto()
    """At the price or above it."""
    PEAK = auto()
    """The same, and nothing fires there."""


SizeClass = tuple[Direction, int]
"""A way, and a class of sizes: the bits of the size in micros."""
IndexKey = tuple[SizeClass, int]
"""A shelf, and the price at which the trigger may move."""
NewPeak = tuple[str, int, int]
"""A trailing stop's id, its new peak, and the shares that would fetch it."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """The prices that a book must reach before any shelf of an asset is searched."""

    down: int
    """The highest price of those that wait below; -1: none does."""
    largest: int
    """The largest size of their classes: none fetches less a share."""
    up: int | None
    """The lowest price of those that wait above; None: none does."""
    peak: int | None
    """The same of those that would ratchet there."""

    def none(self, bids: Sequence[Level]) -> bool:
        """Return whether no trigger that fires there is reached, whatever its size."""
        if self.up is not None and bids[0][0] >= self.up:
            return False
        if self.down < 0:
            return True
        sale = sell_into(bids, self.largest)
        return sale is not None and sale.product > self.down * sale.size_micros


@dataclass(slots=True)
class _Asset:
    """The triggers of one asset."""

    all: dict[str, TriggerStatus] = field(default_factory=dict)
    always: set[str] = field(default_factory=set)
    """Suspended, or between the two ticks that they want: every good book concerns them."""
    shelves: defaultdict[SizeClass, list[tuple[int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    reach: _Reach | None = None
    """None: it has to be computed anew."""
    shown: dict[int, Curve] = field(default_factory=dict)
    """By class of sizes, bids whose new peaks were reported of all trailing stops as they are."""

    def reached_at(self) -> _Reach:
        """Return what a book must come to, computed anew where it has to be."""
        if self.reach is None:
            self.reach = _reach(self)
        return self.reach


class TriggerIndex:
    """Triggers by asset, way, class of sizes and price. Time stops have no price to look up."""

    def __init__(self) -> None:
        self._assets: dict[str, _Asset] = {}
        self._places: dict[str, tuple[str, tuple[IndexKey, ...]]] = {}
        self._trailing_stops: dict[str, tuple[int, int]] = {}
        """Of trailing stops, the lowest new peak and the size that has to fetch it."""

    def put(self, trigger: Trigger, lot_micros: int) -> None:
        """Take a trigger as it is now, in the place of what was known of it.

        Args:
            trigger: not in a final state.
            lot_micros: shares that its lot holds now.
        """
        self.remove(trigger.id)
        asset = self._assets.setdefault(trigger.asset_id, _Asset())
        places = tuple(_places(trigger, lot_micros))
        self._places[trigger.id] = (trigger.asset_id, places)
        asset.all[trigger.id] = trigger.status
        if trigger.status is TriggerStatus.SUSPENDED or trigger.tick is not None:
            asset.always.add(trigger.id)
        asset.reach = None
        for shelf, price in places:
            insort(asset.shelves[shelf], (price, trigger.id))
            if shelf[0] is Direction.PEAK:
                asset.shown.pop(shelf[1], None)
                self._trailing_stops[trigger.id] = price, next_size(trigger, lot_micros)

    def remove(self, trigger_id: str) -> None:
        """Forget a trigger, known or not."""
        asset_id, places = self._places.pop(trigger_id, ("", ()))
        asset = self._assets.get(asset_id)
        if asset is None:
            return
        del asset.all[trigger_id]
        self._trailing_stops.pop(trigger_id, None)
        asset.always.discard(trigger_id)
        asset.reach = None
        for shelf, price in places:
            held = asset.shelves[shelf]
            del held[bisect_left(held, (price, trigger_id))]
            if not held:
                del asset.shelves[shelf]
        if not asset.all:
            del self._assets[asset_id]

    def candidates(self, book: Book) -> set[str]:
        """Return ids of the triggers that a book may move; new peaks are found by `risen`.

        A market that has ended moves all; a book that became bad, or good again, moves those that
        have not followed it yet, once.
        """
        asset = self._assets.get(book.market.asset_id)
        if asset is None:
            return set()
        if book.market.payout_micros is not None:
            return set(asset.all)
        if book.status is not BookStatus.FRESH or not book.bids:
            return {i for i, status in asset.all.items() if status is TriggerStatus.ARMED}
        return set(asset.always).union(_moved(asset, book))

    def firing(self, book: Book) -> set[str]:
        """Return ids of those candidates that may fire on a book at once."""
        asset = self._good(book)
        return set() if asset is None else set(_moved(asset, book))

    def risen(self, book: Book) -> Iterator[NewPeak]:
        """Yield the new peaks that a book shows, exactly."""
        asset = self._good(book)
        return iter(()) if asset is None else self._risen(asset, book, {})

    def new_peaks(self, book: Book) -> list[NewPeak]:
        """Return the same, but for what is no higher than it was reported before: whoever asks
        keeps that for as long as its trigger stays as it is. While peaks are recorded many books
        show no more."""
        asset = self._good(book)
        return [] if asset is None else list(self._risen(asset, book, asset.shown))

    def _risen(self, asset: _Asset, book: Book, shown: dict[int, Curve]) -> Iterator[NewPeak]:
        lowest = asset.reached_at().peak
        if lowest is None or book.bids[0][0] < lowest:
            return
        curve = Curve(book.bids)
        for (way, bits), held in asset.shelves.items():
            if way is not Direction.PEAK:
                continue
            if bits in shown and shown[bits].covers(curve, (1 << bits) - 1):
                continue
            shown[bits] = curve
            for _, trigger_id in _reached(book, way, bits, held):
                lowest, size = self._trailing_stops[trigger_id]
                peak = seen_peak(curve.product(size) // size)
                if peak >= lowest:
                    yield trigger_id, peak, size

    def rises(self, risen: NewPeak) -> bool:
        """Return whether what was found by `risen` is a new peak still, of the same size."""
        trigger_id, peak, size = risen
        lowest, present = self._trailing_stops.get(trigger_id, (peak + 1, size))
        return present == size and peak >= lowest

    def _good(self, book: Book) -> _Asset | None:
        """Return the triggers that a book may fire; None: nothing fires on it."""
        good = book.market.payout_micros is None and book.status is BookStatus.FRESH and book.bids
        return self._assets.get(book.market.asset_id) if good else None


def _moved(asset: _Asset, book: Book) -> Iterable[str]:
    """Return what a good book reaches, but for new peaks."""
    if asset.reached_at().none(book.bids):
        return
    for (way, bits), held in asset.shelves.items():
        if way is not Direction.PEAK:
            yield from (trigger_id for _, trigger_id in _reached(book, way, bits, held))


def _places(trigger: Trigger, lot_micros: int) -> Iterable[IndexKey]:
    size = next_size(trigger, lot_micros)
    if trigger.status is not TriggerStatus.ARMED or size <= 0:
        return
    bits, fires, peak = size.bit_length(), fire_price(trigger), lowest_peak(trigger)
    if trigger.type in RISING and fires is not None:
        yield (Direction.UP, bits), fires
    elif trigger.type is not TriggerType.TIME_STOP and fires is not None:
        yield (Direction.DOWN, bits), fires
    if peak is not None:
        yield (Direction.PEAK, bits), peak


def _reach(asset: _Asset) -> _Reach:
    down = [
        (held[-1][0], bits) for (way, bits), held in asset.shelves.items() if way is Direction.DOWN
    ]
    lowest = {
        desired: min(
            (h[0][0] for (way, _), h in asset.shelves.items() if way is desired), default=None
        )
        for desired in (Direction.UP, Direction.PEAK)
    }
    return _Reach(
        down=max((price for price, _ in down), default=-1),
        largest=(1 << max((bits for _, bits in down), default=1)) - 1,
        up=lowest[Direction.UP],
        peak=lowest[Direction.PEAK],
    )


def _reached(
    book: Book, way: Direction, bits: int, held: list[tuple[int, str]]
) -> list[tuple[int, str]]:
    """Return what is reached by the class's largest size going down, by its smallest going up."""
    sale = sell_into(book.bids, (1 << bits) - 1 if way is Direction.DOWN else 1 << (bits - 1))
    if sale is None:
        return []
    if way is not Direction.DOWN:
        return held[: bisect_right(held, sale.whole_average_micros, key=lambda entry: entry[0])]
    lowest = -(-sale.product // sale.size_micros)
    return held[bisect_left(held, lowest, key=lambda entry: entry[0]) :]
