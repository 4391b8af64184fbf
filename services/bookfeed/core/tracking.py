"""How far an asset's book may be trusted, from what was heard and when.

A book is whole after a snapshot, over the socket or over REST, and stays so while every change
since has arrived. It is in doubt when the venue's own best prices differ from ours, when it is
crossed, or when a look over REST (`looking`) found something missed; then it has to be resynced.
REST may be a little behind, so changes are collected from the doubt on until an answer is taken,
and those the answer does not contain yet are applied to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from itertools import groupby
from operator import itemgetter

from services.bookfeed.core.book import Book
from services.bookfeed.core.looking import (
    GRACE_MS,
    LEAD_MS,
    Answer,
    Change,
    Levels,
    Look,
    Verdict,
)

TAKEOVER_MS = 1_000
"""In which a connection that is open already tells the first books of another one's assets."""
_COLLECTED_MAX = 1_000
"""Messages of an asset: all may be in doubt at once, while REST is away for hours."""
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
        "_collected",
        "_first_asked_ms",
        "_heard_rest_ms",
        "_left",
        "_mismatches",
        "_resync_after_ms",
        "_since_ms",
        "_told",
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
        "refresh_due_ms",
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
        self.refresh_due_ms = 0
        """When to ask REST again while no connection keeps it; 0: not decided yet."""
        self.looked_ms = 0
        self.misses = 0
        """Looks in a row that found something missed."""
        self._heard_rest_ms: int | None = None
        self._told: tuple[int | None, int | None] = (None, None)
        """The best prices that the venue stated last."""
        self._collected: deque[tuple[int, Sequence[Change]]] | None = None
        """Changes for an answer of REST, with the venue's time; None: none is wanted."""
        self._since_ms: int | None = 0
        """From which time of the venue on those are all; None: from the next one on."""
        self._asked_ms: int | None = None
        """When REST was asked, while its answer is awaited."""
        self._first_asked_ms: int | None = None
        """When REST was asked first since the collecting began."""
        self._left: tuple[int, int] | None = None
        """The time of an answer that was left aside, and when; nothing was heard since."""
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
        self._told = (self.book.best_bid, self.book.best_ask)
        self.doubtful = self.book.crossed
        if not self.doubtful:
            self._mismatches = 0
        self._collect(book_ms)
        self._moved(book_ms, received_ns)

    def changes(
        self, changes: Sequence[Change], book_ms: int, received_ns: int, book_hash: str = ""
    ) -> None:
        """Changes of one message, in order; a doubt shows in `doubtful`."""
        self.book_hash = book_hash
        if self.look is not None:
            self.look.changed(changes, book_hash)
        if changes:
            self._left = None
            apply(self.book, changes)
            self._told = (changes[-1].best_bid, changes[-1].best_ask)
            if not self.doubtful and (self.book.crossed or not self.book.agrees(*self._told)):
                self.doubtful = True
                self._collect(book_ms)
            self._keep(changes, book_ms)
        self._moved(max(book_ms, self.book_ms), received_ns)

    def disconnected(self) -> None:
        """The connection is gone: what follows on the next one begins with a snapshot."""
        self.on_socket = False
        self.look = None
        self._heard_rest_ms = None
        self._collect(0)
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
        self.doubtful = True
        self._collect(None)

    @property
    def resyncing(self) -> bool:
        """Whether REST's answer is awaited."""
        return self._asked_ms is not None

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
        """REST is being asked.

        Each time in vain the next one waits longer.
        """
        self._asked_ms = now_ms
        if self._collected is None or not self.on_socket:
            self._collect(self.book_ms if self.on_socket else 0)
        if self._first_asked_ms is None:
            self._first_asked_ms = now_ms
        self._mismatches = min(self._mismatches + 1, len(_RESYNC_PAUSE_MS) - 1)
        self._resync_after_ms = now_ms + _RESYNC_PAUSE_MS[self._mismatches]

    def end_resync(
        self,
        answer: Answer | None,
        *,
        now_ms: int,
        received_ns: int,
    ) -> None:
        """Take REST's answer, with what was heard since its time; None when there was none.

        It is left aside when our book is good and no older, and when it does not make a whole
        one: it is older than the doubt, or not what the venue's best prices say. The same again,
        when nothing was heard meanwhile, is all that REST has to tell: it is taken once REST
        has had its time to hear the same as we, and more time if the best prices contradict it.
        """
        asked_ms, self._asked_ms = self._asked_ms, None
        if answer is not None and not (
            self.on_socket and not self.doubtful and answer.book_ms <= self.book_ms
        ):
            self._weigh(answer, asked_ms, now_ms, received_ns)
        if not self.doubtful:
            self._collected = None

    def _weigh(self, answer: Answer, asked_ms: int | None, now_ms: int, received_ns: int) -> None:
        later = [heard for heard in self._collected or () if heard[0] >= answer.book_ms]
        book = Book()
        book.replace(answer.bids, answer.asks)
        agrees = caught_up(book, later)
        whole = agrees and self._since_ms is not None and answer.book_ms >= self._since_ms
        if self.on_socket and not whole and self._long_since(asked_ms):
            # Whatever its time means, it is later than the doubt: each level is told as a total.
            later = list(self._collected or ())
            book.replace(answer.bids, answer.asks)
            caught_up(book, later)
            whole = not book.crossed and book.agrees(*self._told)
        if self.on_socket and not whole:
            book.replace(answer.bids, answer.asks)
            if not self._said_again(book, answer.book_ms, asked_ms, now_ms):
                return
            whole, later = True, []
        self.book = book
        self.book_hash = "" if later else answer.book_hash
        self.look = None  # what it compares with is none of the socket's any more
        self.doubtful = book.crossed or not whole
        self._left = None
        self._heard_rest_ms = now_ms
        self._moved(max([answer.book_ms, *(ms for ms, _ in later)]), received_ns)
        if not self.doubtful:
            self._told = (book.best_bid, book.best_ask)
            self._mismatches = max(self._mismatches - 2, 0)
            if not self.on_socket:
                self._mismatches = self._resync_after_ms = 0

    def _long_since(self, asked_ms: int | None) -> bool:
        """Whether an answer that was asked for then is from after the collecting began."""
        if asked_ms is None or self._first_asked_ms is None:
            return False
        return asked_ms - self._first_asked_ms >= GRACE_MS

    def _said_again(self, book: Book, book_ms: int, asked_ms: int | None, now_ms: int) -> bool:
        """Whether REST has said the same for so long that it has nothing else to tell."""
        if self._left is None or self._left[0] != book_ms:
            self._left = (book_ms, now_ms)
        over_ms = self._left[1] + (LEAD_MS if book.agrees(*self._told) else GRACE_MS)
        if self._since_ms is None:
            # Nothing else can tell what could not be read, and it may come again and again.
            self._resync_after_ms = min(self._resync_after_ms, over_ms)
        return asked_ms is not None and asked_ms >= over_ms

    def _collect(self, since_ms: int | None) -> None:
        """Begin anew with what the next answer needs, if one is wanted."""
        wanted = self.resyncing or (self.doubtful and self.on_socket)
        self._collected = deque() if wanted else None
        self._since_ms = since_ms
        self._first_asked_ms = self._left = None

    def _keep(self, changes: Sequence[Change], book_ms: int) -> None:
        if self._collected is None:
            return
        if self._since_ms is None:
            # Later than what was heard before the gap, for there may be several of one time.
            self._since_ms = max(book_ms, self.book_ms + 1)
        self._collected.append((book_ms, changes))
        if len(self._collected) > _COLLECTED_MAX:
            self._since_ms = max(self._since_ms, self._collected.popleft()[0] + 1)
            self._first_asked_ms = None

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

    def _moved(self, book_ms: int, received_ns: int) -> None:
        self.book_ms = book_ms
        self.received_ns = received_ns
        self.revision += 1


def apply(book: Book, changes: Sequence[Change]) -> None:
    """Set the levels that a message told of."""
    for change in changes:
        book.change(is_bid=change.is_bid, price=change.price, size=change.size)


def caught_up(book: Book, later: Sequence[tuple[int, Sequence[Change]]]) -> bool:
    """Apply what was heard since an answer; whether the venue's best prices agree throughout.

    Of messages of one time the answer may contain the first few, so they are compared after the
    last one. So are the changes of one message: between two of them the best prices may be those
    of neither state.
    """
    agrees = True
    for _, told in groupby(later, key=itemgetter(0)):
        changes = [change for _, message in told for change in message]
        apply(book, changes)
        agrees = agrees and book.agrees(changes[-1].best_bid, changes[-1].best_ask)
        agrees = agrees and not book.crossed
    return agrees and not book.crossed
