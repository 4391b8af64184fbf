"""The book of one instrument, kept whole by its sequence numbers. Pure.

Each update names the one before it. Equal numbers are a sign of life, a number below its
predecessor starts the count anew, and any other break is a gap: the book is in doubt until a whole
one has come, and says so at once. A whole one comes by the socket, after a subscription anew, or by
REST: then updates are kept meanwhile, and joined where the snapshot's number lies between the two
of an update.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import Enum, auto

from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.okx.book_frames import BookChange, checksum
from tradingtools.venues.trading import Level, TradingBook

MAX_RETAINED = 2_000
"""Updates that wait for a snapshot; one more, and it comes too late."""


class BookState(Enum):
    """The trust that a book deserves."""

    EMPTY = auto()
    """No whole book has come yet; updates are kept."""
    WHOLE = auto()
    DOUBTED = auto()
    """Something was missed; updates are kept for a snapshot of REST."""


class Outcome(Enum):
    """The meaning of a change for whoever holds the book."""

    CHANGED = auto()
    ALIVE = auto()
    """Nothing has changed, and the book is whole."""
    WAITING = auto()
    """It has to wait for a whole book, which was asked for already."""
    LOST = auto()
    """A whole book has to be asked for."""


class Side:
    """One side of a book, levels best first."""

    __slots__ = ("_keys", "_sign", "levels")

    def __init__(self, *, bids: bool) -> None:
        self._sign = -1 if bids else 1
        self._keys: list[int] = []
        self.levels: list[Level] = []

    def replace(self, levels: list[Level]) -> None:
        """Take a whole side, in any order."""
        held = {price: size for price, size in levels if size}
        ordered = sorted((self._sign * price, (price, size)) for price, size in held.items())
        self._keys = [key for key, _ in ordered]
        self.levels = [level for _, level in ordered]

    def set(self, level: Level) -> None:
        """Set the size of one level; 0 removes it."""
        price, size = level
        key = self._sign * price
        keys = self._keys
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            if size:
                self.levels[at] = level
            else:
                del keys[at], self.levels[at]
        elif size:
            keys.insert(at, key)
            self.levels.insert(at, level)


class OkxBook:
    """The book of one instrument.

    Args:
        instrument: whose units its levels have.
        check: compare the checksums of a recording, where they are not 0.
    """

    def __init__(self, instrument: Instrument, *, check: bool = False) -> None:
        self.instrument = instrument
        self.state = BookState.EMPTY
        self._check = check
        self._bids = Side(bids=True)
        self._asks = Side(bids=False)
        self._seq_id: int | None = None
        self._venue_ms = 0
        self._retained: list[BookChange] = []
        self._joined = False
        """The last whole book is of REST, whose number may lie within the next update."""

    def book(self, received_ns: int = 0) -> TradingBook:
        """Return the book as it is now; in doubt it is STALE."""
        return TradingBook(
            instrument_id=self.instrument.id,
            status=self._status(),
            bids=tuple(self._bids.levels),
            asks=tuple(self._asks.levels),
            venue_ms=self._venue_ms,
            received_ns=received_ns,
        )

    def apply(self, change: BookChange) -> Outcome:
        """Take a change that came over the socket."""
        if change.snapshot:
            return self._whole(change)
        if self.state is not BookState.WHOLE:
            return self._keep(change)
        # Recordings from before the numbers are judged by their checksums alone.
        if change.prev_seq_id is None or change.prev_seq_id == self._seq_id:
            return self._update(change)
        if self._joined and self._seq_id is not None and change.seq_id is not None:
            if change.prev_seq_id <= change.seq_id <= self._seq_id:
                return Outcome.ALIVE
            if _meets(change, self._seq_id):
                return self._update(change)
        self.doubt()
        self._retained.append(change)
        return Outcome.LOST

    def join(self, snapshot: BookChange) -> Outcome:
        """Take a whole book that came over REST, and the kept updates that are newer.

        LOST: the two do not meet, so another snapshot is needed.
        """
        seq_id = snapshot.seq_id
        if self.state is BookState.WHOLE:
            return Outcome.ALIVE
        if seq_id is None:
            return Outcome.LOST
        newer = [one for one in self._retained if one.seq_id is not None and one.seq_id > seq_id]
        if newer and not _meets(newer[0], seq_id):
            return Outcome.LOST
        self._whole(snapshot)
        self._joined = True
        for change in newer:
            if self.apply(change) is Outcome.LOST:
                return Outcome.LOST
        return Outcome.CHANGED

    def doubt(self) -> None:
        """Doubt the book: the connection ended, or something was missed."""
        if self.state is BookState.WHOLE:
            self.state = BookState.DOUBTED
        self._retained.clear()

    def _whole(self, change: BookChange) -> Outcome:
        self._bids.replace(list(change.bids))
        self._asks.replace(list(change.asks))
        self._seq_id = change.seq_id
        self._venue_ms = change.venue_ms
        self._retained.clear()
        self._joined = False
        self.state = BookState.WHOLE
        return self._checked(change)

    def _update(self, change: BookChange) -> Outcome:
        alive = change.seq_id is not None and change.seq_id == change.prev_seq_id
        for level in change.bids:
            self._bids.set(level)
        for level in change.asks:
            self._asks.set(level)
        self._seq_id = change.seq_id
        self._venue_ms = change.venue_ms
        self._joined = False
        if alive and not change.bids and not change.asks:
            return Outcome.ALIVE
        return self._checked(change)

    def _checked(self, change: BookChange) -> Outcome:
        if not self._check or change.checksum == 0:
            return Outcome.CHANGED
        if checksum(self._bids.levels, self._asks.levels, self.instrument) == change.checksum:
            return Outcome.CHANGED
        self.doubt()
        return Outcome.LOST

    def _keep(self, change: BookChange) -> Outcome:
        if _starts_anew(change) or len(self._retained) >= MAX_RETAINED:
            # Numbers from before and after a new count cannot be compared.
            self._retained.clear()
            return Outcome.LOST
        self._retained.append(change)
        return Outcome.WAITING

    def _status(self) -> BookStatus:
        if self.state is BookState.EMPTY:
            return BookStatus.UNSEEN
        if self.state is BookState.DOUBTED:
            return BookStatus.STALE
        bids, asks = self._bids.levels, self._asks.levels
        if bids and asks:
            return BookStatus.CROSSED if bids[0][0] >= asks[0][0] else BookStatus.FRESH
        return BookStatus.FRESH if bids or asks else BookStatus.EMPTY


def _starts_anew(change: BookChange) -> bool:
    return (
        change.seq_id is not None
        and change.prev_seq_id is not None
        and change.seq_id < change.prev_seq_id
    )


def _meets(change: BookChange, seq_id: int) -> bool:
    return change.prev_seq_id is not None and change.prev_seq_id <= seq_id
