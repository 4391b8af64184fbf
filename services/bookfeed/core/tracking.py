"""How far an asset's book may be trusted, from what was heard and when.

A book is whole after a snapshot, over the socket or over REST, and stays so while every change
since has arrived. It is in doubt when the venue's own best prices differ from ours, when it is
crossed, or when a look over REST (`looking`) found something missed; then it has to be resynced:
changes go on being collected while the answer is under way, and those the answer does not contain
yet are applied to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from services.bookfeed.core.book import Book
from services.bookfeed.core.looking import Answer, Change, Levels, Look, Verdict

TAKEOVER_MS = 1_000
"""In which a connection that is open already tells the first books of another one's assets."""
_COLLECTED_MAX = 5_000
_RESYNC_PAUSE_MS = (0, 200, 500, 1_000, 2_000, 5_000, 15_000, 30_000)


class Status(Enum):
    """Whether a book may be traded on; names as in the contract."""

    FRESH = "FRESH"
    STALE = "STALE"
    CROSSED = "CROSSED"
    EMPTY = "EMPTY"


class Tracked:
    """One asset. Times are milliseconds: ``book_ms`` of the venue, ``now_ms`` of our clock."""

    __slots__ = (
        "_asked_ms",
        "_change_lost",
        "_collected",
        "_heard_rest_ms",
        "_mismatches",
        "_older_ms",
        "_resync_after_ms",
        "book",
        "book_hash",
        "book_ms",
        "doubtful",
        "look",
        "look_due_ms",
        "looked_ms",
        "misses",
        "on_socket",
        "received_ns",
        "reported",
        "revision",
    )

    def __init__(self) -> None:
        self.book = Book()
        self.book_ms = 0
        self.book_hash = ""
        """The venue's hash of the book; empty when the last message gave none."""
        self.received_ns = 0
        self.revision = 0
        self.doubtful = False
        """The book is known to be wrong somewhere."""
        self.on_socket = False
        """A snapshot came over the present connection, so changes keep the book whole."""
        self.reported: Status | None = None
        self.look: Look | None = None
        """The look that is under way."""
        self.look_due_ms = 0
        """When to look next; 0: not decided yet."""
        self.looked_ms = 0
        self.misses = 0
        """Looks in a row that found something missed."""
        self._heard_rest_ms: int | None = None
        self._collected: list[tuple[int, Sequence[Change]]] | None = None
        self._change_lost = False
        """A change came since REST was asked and is not among those collected."""
        self._asked_ms = 0
        """`book_ms` when REST was asked."""
        self._older_ms: int | None = None
        """The time of an answer that was older than that, and was left aside."""
        self._mismatches = 0
        self._resync_after_ms = 0

    def snapshot(
        self, bids: Levels, asks: Levels, book_ms: int, received_ns: int, book_hash: str = ""
    ) -> None:
        """A whole book over the socket."""
        self.book.replace(bids, asks)
        self.book_hash = book_hash
        if self.look is not None:
            self.look.became(self.book, book_hash)
        self.on_socket = True
        self.doubtful = self.book.crossed
        if not self.doubtful:
            self._mismatches = 0
        self._moved(book_ms, received_ns)

    def changes(
        self, changes: Sequence[Change], book_ms: int, received_ns: int, book_hash: str = ""
    ) -> None:
        """Changes of one message, in order; a doubt shows in `doubtful`."""
        self.book_hash = book_hash
        if self.look is not None:
            self.look.changed(changes, book_hash)
        if self._collected is not None:
            if len(self._collected) < _COLLECTED_MAX:
                self._collected.append((book_ms, changes))
            else:
                self._change_lost = True
        self._apply(changes)
        self._moved(max(book_ms, self.book_ms), received_ns)

    def disconnected(self) -> None:
        """The connection is gone: what follows on the next one begins with a snapshot."""
        self.on_socket = False
        self.look = None
        self._heard_rest_ms = None
        self.revision += 1

    def wants_resync(self, now_ms: int) -> bool:
        """Whether to ask REST now: in doubt, not asked already, not asked too often in vain."""
        return self.doubtful and self._may_ask(now_ms)

    def wants_refresh(self, now_ms: int) -> bool:
        """Whether to ask REST again of a book that no connection keeps."""
        return not self.doubtful and not self.on_socket and self._may_ask(now_ms)

    def _may_ask(self, now_ms: int) -> bool:
        return not self.resyncing and now_ms >= self._resync_after_ms

    def missed(self, ask_ms: int) -> None:
        """Nothing that its connection said is believed before the next one, or REST, tells more.

        Args:
            ask_ms: not before is REST asked: the next connection tells hundreds of books sooner.
        """
        self.disconnected()
        self.doubtful = True
        self._resync_after_ms = max(self._resync_after_ms, ask_ms)

    def refused(self) -> None:
        """What may have been a change could not be read; an answer under way may not have it."""
        self.doubtful = self._change_lost = True

    @property
    def resyncing(self) -> bool:
        """Whether REST's answer is awaited."""
        return self._collected is not None

    @property
    def comparable(self) -> bool:
        """Whether a look would say something: the socket keeps it and nothing else is asked."""
        idle = self.look is None and not self.resyncing
        return idle and self.on_socket and not self.doubtful

    def begin_look(self) -> Look:
        """What the socket tells from now on is kept until `end_look`."""
        self.look = Look(self.book, self.book_ms, self.book_hash)
        return self.look

    def end_look(self, look: Look, verdict: Verdict, now_ms: int) -> None:
        """The look is over, with or without a verdict."""
        if self.look is look:
            self.look = None
        self.looked_ms = now_ms
        if verdict is Verdict.MISSED:
            self.misses += 1
        elif verdict is Verdict.SAME:
            self.misses = 0

    def begin_resync(self, now_ms: int) -> None:
        """REST is being asked; changes are collected until `end_resync`.

        Each time in vain the next one waits longer.
        """
        self._collected = []
        self._change_lost = False
        self._asked_ms = self.book_ms
        pause = _RESYNC_PAUSE_MS[min(self._mismatches + 1, len(_RESYNC_PAUSE_MS) - 1)]
        self._mismatches += 1
        self._resync_after_ms = now_ms + pause

    def end_resync(
        self,
        answer: Answer | None,
        *,
        now_ms: int,
        received_ns: int,
    ) -> None:
        """Take REST's answer; None when there was none.

        An answer that is older than a book we have no doubt about is left aside. So is one that is
        older than the book in doubt was when REST was asked, since changes in between are neither
        in it nor collected; the same again is all that REST has to tell.
        """
        collected, self._collected = self._collected or [], None
        lost, self._change_lost = self._change_lost, False
        if answer is None:
            return
        bids, asks, book_ms, book_hash = answer
        if self.on_socket and not self.doubtful and book_ms < self.book_ms:
            return
        if self.on_socket and book_ms < self._asked_ms and book_ms != self._older_ms:
            self._older_ms = book_ms
            return
        self._older_ms = None
        self.look = None  # what it compares with is none of the socket's any more
        self.book.replace(bids, asks)
        self.doubtful = self.book.crossed or lost
        later = [(ms, changes) for ms, changes in collected if ms >= book_ms]
        for _, changes in later:
            self._apply(changes)
        self.book_hash = "" if later else book_hash
        self._heard_rest_ms = now_ms
        self._moved(max([book_ms, *(ms for ms, _ in later)]), received_ns)
        if not self.doubtful and self._mismatches and not later:
            # Quiet since: the pause before a next resync shrinks again, one step at a time.
            self._mismatches -= 1

    def status(self, now_ms: int, *, heard_ms: int | None, stale_ms: int, rest_ms: int) -> Status:
        """Whether the book may be traded on.

        Args:
            now_ms: the present.
            heard_ms: when anything was heard on the asset's connection; None: it is down.
            stale_ms: how old that may be.
            rest_ms: how long a book from REST alone counts as fresh.
        """
        socket_fresh = self.on_socket and heard_ms is not None and now_ms - heard_ms < stale_ms
        rest_fresh = self._heard_rest_ms is not None and now_ms - self._heard_rest_ms < rest_ms
        if not socket_fresh and not rest_fresh:
            return Status.STALE
        if self.book.crossed:
            return Status.CROSSED
        if self.doubtful:
            return Status.STALE
        return Status.EMPTY if self.book.empty else Status.FRESH

    def _apply(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        for change in changes:
            self.book.change(is_bid=change.is_bid, price=change.price, size=change.size)
        # Between two changes of one message the best prices may be those of neither state, so
        # only the last one is held against the book.
        last = changes[-1]
        if self.book.crossed or not self.book.agrees(last.best_bid, last.best_ask):
            self.doubtful = True

    def _moved(self, book_ms: int, received_ns: int) -> None:
        self.book_ms = book_ms
        self.received_ns = received_ns
        self.revision += 1
