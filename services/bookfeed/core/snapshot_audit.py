"""Compare a book that the socket keeps with a snapshot over REST. Pure.

Best prices say nothing of the levels behind them, and a connection that answers pings may bring
nothing for hours. So REST is queried now and then, and its book has to be one that ours was between
some time before the question and some time after the answer: both tell the same story, one a
little later than the other. Where REST's hash was received, it says which of those states is meant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple
from zlib import crc32

from services.bookfeed.core.book import Book

LEAD_MS = 500
"""How long states are kept before REST is queried, since its answer may be a little old."""
GRACE_MS = 2_000
"""How long the socket may be behind REST."""
_STEPS_MAX = 5_000
_PAUSE_DOUBLINGS = 8


class LevelChange(NamedTuple):
    """A level's new total, and the venue's best prices after it (None: not said)."""

    is_bid: bool
    price: int
    size: int
    best_bid: int | None
    best_ask: int | None


Levels = Sequence[tuple[int, int]]


class RestBook(NamedTuple):
    """REST's book; an empty hash was not given."""

    bids: Levels
    asks: Levels
    book_ms: int
    book_hash: str = ""


class AuditVerdict(Enum):
    """The result of an audit."""

    SAME = "same"
    OPEN = "open"
    """Not that state so far: it may still come over the socket."""
    MISSED = "missed"
    NONE = "none"
    """The answer is older than what could be compared with it."""


class SnapshotAudit:
    """The comparison of one book with one snapshot over REST.

    Args:
        book: as it is now; not kept.
        book_ms: the venue's time of it.
        book_hash: the venue's hash of it; empty when it gave none.
    """

    def __init__(self, book: Book, book_ms: int, book_hash: str) -> None:
        self._book = book.copy()
        self._first_ms = book_ms
        self._hash = book_hash
        self._steps: deque[tuple[str, Book | Sequence[LevelChange]]] = deque()
        self._overflown = False
        self._named = False

    def became(self, book: Book, book_hash: str) -> None:
        """Note a snapshot from the socket."""
        self._add(book_hash, book.copy())

    def changed(self, changes: Sequence[LevelChange], book_hash: str) -> None:
        """Note changes from the socket."""
        self._add(book_hash, changes)

    def judge(self, answer: RestBook, *, over: bool) -> AuditVerdict:
        """Return what is known by now; to be called again with the same answer while it is OPEN.

        Args:
            answer: what REST said.
            over: whether the socket has had its time to tell the same.
        """
        snapshot = Book()
        snapshot.replace(answer.bids, answer.asks)
        while not self._overflown:
            if self._book.same(snapshot):
                return AuditVerdict.SAME
            same_hash = bool(answer.book_hash) and self._hash == answer.book_hash
            self._named = self._named or same_hash
            if not self._steps:
                break
            self._step(*self._steps.popleft())
        if not over:
            return AuditVerdict.OPEN
        if self._named:
            return AuditVerdict.MISSED
        comparable = not self._overflown and answer.book_ms >= self._first_ms
        return AuditVerdict.MISSED if comparable else AuditVerdict.NONE

    def _add(self, book_hash: str, step: Book | Sequence[LevelChange]) -> None:
        if len(self._steps) < _STEPS_MAX:
            self._steps.append((book_hash, step))
        else:
            self._overflown = True

    def _step(self, book_hash: str, step: Book | Sequence[LevelChange]) -> None:
        self._hash = book_hash
        if isinstance(step, Book):
            self._book = step
            return
        for change in step:
            self._book.change(is_bid=change.is_bid, price=change.price, size=change.size)


def first_time_ms(asset_id: str, now_ms: int, every_ms: int) -> int:
    """Return when what is asked of an asset every so often is asked first: spread, as many may be
    new."""
    return now_ms + every_ms // 2 + crc32(asset_id.encode()) % (every_ms // 2)


def next_audit_ms(now_ms: int, every_ms: int, quiet_ms: int, misses: int) -> int:
    """Return when to look again.

    Args:
        now_ms: the present.
        every_ms: the pause between looks at a book that is right.
        quiet_ms: the pause that doubles with every look in a row that found something missed:
            a market of which REST and socket never tell the same must not cost the others their
            connection for ever.
        misses: how many such looks there were in a row.
    """
    if not misses:
        return now_ms + every_ms
    return now_ms + (quiet_ms << min(misses, _PAUSE_DOUBLINGS))


def is_quiet(now_ms: int, *, moved_ms: int, queried_ms: int, quiet_ms: int) -> bool:
    """Return whether a connection is to be questioned.

    Args:
        now_ms: the present.
        moved_ms: when it last reported one of its books.
        queried_ms: when it was questioned last.
        quiet_ms: how long it may say nothing.
    """
    return now_ms - max(moved_ms, queried_ms) >= quiet_ms


class Watched(NamedTuple):
    """The inputs of the decision whether an asset of a quiet connection is audited."""

    asset_id: str
    received_ns: int
    audited_ms: int


def witnesses(assets: Iterable[Watched]) -> list[str]:
    """Return which few assets of a quiet connection are looked at.

    The ones that moved last are the likeliest to have moved since; the one that was not looked at
    for longest brings everyone their turn.
    """
    able = list(assets)
    moved = sorted(able, key=lambda one: -one.received_ns)[:2]
    waited = min(able, key=lambda one: one.audited_ms, default=None)
    return list(dict.fromkeys(one.asset_id for one in (*moved, waited) if one))
