"""Judge how far an asset's book may be trusted, from what was received and when.

A book is whole after a snapshot, over the socket or over REST, and stays so while every change
since has arrived. It is in doubt when the venue's own best prices differ from ours, when it is
crossed, when something could not be read, when an older book came after it, or when a look over
REST (`snapshot_audit`) found something missed; then it has to be resynced. REST may be a little
behind, so changes are collected from the doubt on until an answer is taken, and those the answer
does not contain yet are applied to it. When none makes it whole for long, the book is REST's alone,
like one that no connection keeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import groupby
from operator import itemgetter

from services.bookfeed.core.book import Book
from services.bookfeed.core.book_states import (
    DOUBTFUL,
    IN_DOUBT,
    ON_SOCKET,
    REST_ALONE,
    BookEvent,
    Trust,
    after,
)
from services.bookfeed.core.snapshot_audit import (
    AuditVerdict,
    LevelChange,
    Levels,
    RestBook,
    SnapshotAudit,
)

TAKEOVER_MS = 1_000
"""In which a connection that is open already tells the first books of another one's assets."""
BEHIND_MS = 1_500
"""How far REST may be behind. Less than what triggers bear before they are suspended."""
AHEAD_MS = 60_000
"""How far the venue's clock may be ahead of ours."""
_COLLECTED_MAX = 1_000
"""Messages of an asset: all may be in doubt at once, while REST is away for hours."""
_DOUBT_PERIOD_MS = 60_000
"""Without a question for so long, a spell of doubts is over; longer than any pause."""
_UNSAID = (None, None)
_FRESH, _UNSEEN = Trust.FRESH, Trust.UNSEEN
"""Looked up once: a member of an enum costs more than the rest of the question."""
_RESYNC_PAUSE_MS = (0, 200, 500, 1_000, 2_000, 5_000, 15_000, 30_000)


ReceivedChanges = tuple[int, Sequence[LevelChange]]
"""Changes of one message, and the venue's time of it."""


class Status(Enum):
    """The status of a book, which decides whether it may be traded on; names as in the contract."""

    FRESH = "FRESH"
    STALE = "STALE"
    CROSSED = "CROSSED"
    EMPTY = "EMPTY"


class BookState:
    """One asset. Times are milliseconds: ``book_ms`` of the venue, ``now_ms`` of our clock."""

    __slots__ = (
        "_collected",
        "_doubt_period_ms",
        "_first_request_ms",
        "_known",
        "_last_request_ms",
        "_mismatches",
        "_reported_best",
        "_requested_ms",
        "_rest_taken_ms",
        "_resync_after_ms",
        "_since_ms",
        "_whole_at_ms",
        "_whole_ms",
        "_whole_since_ms",
        "audit",
        "audit_due_ms",
        "audited_ms",
        "book",
        "book_hash",
        "book_ms",
        "misses",
        "received_ns",
        "refresh_due_ms",
        "reported",
        "revision",
        "trust",
    )

    def __init__(self) -> None:
        self.book = Book()
        self.book_ms = 0
        self.book_hash = ""
        """The venue's hash of the book; empty when the last message gave none."""
        self.received_ns = 0
        self.revision = 0
        self.trust = Trust.UNSEEN
        """What keeps the book whole, as the table of `book_states` has it."""
        self.reported: Status | None = None
        self.audit: SnapshotAudit | None = None
        """The audit that is under way."""
        self.audit_due_ms = 0
        """When the next audit is due; 0: not decided yet."""
        self.refresh_due_ms = 0
        """When to query REST again while no connection keeps it; 0: not decided yet."""
        self.audited_ms = 0
        self.misses = 0
        """Audits in a row that found something missed."""
        self._rest_taken_ms: int | None = None
        """When REST's answer was taken; None since a doubt began."""
        self._reported_best: tuple[int | None, int | None] = _UNSAID
        """The best prices that the venue stated last, and after all that is known to be missed."""
        self._collected: deque[ReceivedChanges] | None = None
        """Changes for an answer of REST; None: none is wanted."""
        self._since_ms: int | None = 0
        """From which time of the venue on those are all; None: from the next one on."""
        self._requested_ms: int | None = None
        """When REST was queried, while its answer is awaited."""
        self._first_request_ms: int | None = None
        """When REST was queried first since the collecting began."""
        self._known = 0
        """How many messages had been collected by then."""
        self._last_request_ms = 0
        self._doubt_period_ms: int | None = None
        """When REST was queried first since it last made the book whole: socket's books may come
        between two doubts of one spell."""
        self._mismatches = 0
        self._resync_after_ms = 0
        self._whole_ms = 0
        """The venue's time of the last whole book over the present connection; 0: there is none."""
        self._whole_at_ms = 0
        """When it came."""
        self._whole_since_ms: int | None = None
        """When such a book ended a doubt; None: REST has made it whole since, or it is in doubt."""

    def snapshot(
        self, bids: Levels, asks: Levels, book_ms: int, received_ns: int, book_hash: str = ""
    ) -> None:
        """Take a whole book from the socket, unless it is older than ours and differs."""
        book_ms = believed_ms(book_ms, received_ns, received_ns // 1_000_000)
        book = Book()
        book.replace(bids, asks)
        if book_ms < self.book_ms and (self.doubtful or not book.same(self.book)):
            self._late(book)
            return
        overridden, doubted = self.trust is Trust.REST_OVERRIDES, self.doubtful
        self.book = book
        self.book_hash = book_hash
        if self.audit is not None:
            self.audit.became(book, book_hash)
        self._whole_ms = 0 if book.crossed else book_ms
        self._whole_at_ms = received_ns // 1_000_000
        self._reported_best = _UNSAID if book.crossed else (book.best_bid, book.best_ask)
        if book.crossed and not doubted:
            self._doubt(BookEvent.CROSSED_SNAPSHOT, book_ms)
        else:
            if doubted and not overridden:
                self._whole_since_ms = self._whole_at_ms
            self._enter(BookEvent.CROSSED_SNAPSHOT if book.crossed else BookEvent.SNAPSHOT)
            self._mismatches = 0
            self._collect(book_ms)
        self._moved(book_ms, received_ns)

    def _late(self, book: Book) -> None:
        # What has changed since need not be in the book; other best prices may be what we missed.
        agreed = book.agrees(self.book.best_bid, self.book.best_ask)
        if self.on_socket and (self.doubtful or agreed):
            return
        self._doubt(BookEvent.LATE_SNAPSHOT, self.book_ms)
        self.revision += 1

    def changes(
        self, changes: Sequence[LevelChange], book_ms: int, received_ns: int, book_hash: str = ""
    ) -> None:
        """Take the changes of one message, in order; a doubt shows in `doubtful`."""
        book_ms = believed_ms(book_ms, received_ns, received_ns // 1_000_000)
        self.book_hash = book_hash
        if self.audit is not None:
            self.audit.changed(changes, book_hash)
        if changes:
            apply(self.book, changes)
            self._reported_best = (changes[-1].best_bid, changes[-1].best_ask)
            if self.trust is _FRESH and (
                self.book.crossed or not self.book.agrees(*self._reported_best)
            ):
                self._doubt(BookEvent.WRONG_CHANGES, book_ms)
            self._keep(changes, book_ms)
        if self.trust is _UNSEEN:
            self._enter(BookEvent.CHANGES)
        self._moved(max(book_ms, self.book_ms), received_ns)

    def disconnected(self) -> None:
        """Note that the connection is gone; the next one begins with a snapshot."""
        self._go_offline(BookEvent.DISCONNECTED)

    def _go_offline(self, event: BookEvent) -> None:
        if not self.rest_alone:
            self._rest_taken_ms = None
        self._enter(event)
        self._whole_ms = 0
        self.audit = None
        self._reported_best = _UNSAID
        self._doubt_period_ms = None
        self._collect(0)
        self.revision += 1

    def wants_resync(self, now_ms: int) -> bool:
        """Return whether to query REST now: in doubt, not asked already, not asked too often in
        vain."""
        return self.trust in IN_DOUBT and self._may_request(now_ms)

    def wants_refresh(self, now_ms: int) -> bool:
        """Return whether REST may be asked again of a book that it alone tells."""
        return self.rest_alone and self._may_request(now_ms)

    def _may_request(self, now_ms: int) -> bool:
        return not self.resyncing and now_ms >= self._resync_after_ms

    def missed(self, earliest_ms: int) -> None:
        """Believe nothing of the connection until the next one, or REST, sends more.

        What REST alone tells stays.

        Args:
            earliest_ms: no REST request before it: the next connection sends hundreds of books
                sooner.
        """
        alone = self.rest_alone
        self._go_offline(BookEvent.MISSED)
        if not alone:
            self._resync_after_ms = max(self._resync_after_ms, earliest_ms)

    def refused(self) -> None:
        """Note what may have been a change and could not be read."""
        self._reported_best = _UNSAID
        if self.trust is Trust.FRESH:
            self._doubt(BookEvent.UNREADABLE, None)
        else:
            self._collect(None)

    def _enter(self, event: BookEvent) -> None:
        self.trust = after(self.trust, event)

    @property
    def on_socket(self) -> bool:
        """Return whether a snapshot came over the present connection."""
        return self.trust in ON_SOCKET

    @property
    def doubtful(self) -> bool:
        """Return whether the book is known to be wrong somewhere."""
        return self.trust in DOUBTFUL

    @property
    def rest_alone(self) -> bool:
        """Return whether the book is REST's, whatever the socket sends."""
        return self.trust in REST_ALONE

    def doubted_ms(self, now_ms: int) -> int:
        """Return for how long REST has been queried in vain to end a doubt; 0 when there is
        none."""
        return (
            now_ms - self._doubt_period_ms
            if self.doubtful and self._doubt_period_ms is not None
            else 0
        )

    @property
    def resyncing(self) -> bool:
        """Return whether REST's answer is awaited."""
        return self._requested_ms is not None

    @property
    def comparable(self) -> bool:
        """Return whether an audit would say something: the socket keeps the book, and nothing else
        is requested."""
        idle = self.audit is None and not self.resyncing
        return idle and self.trust is Trust.FRESH

    def begin_audit(self) -> SnapshotAudit:
        """Begin to keep what the socket sends, until `end_audit`."""
        self.audit = SnapshotAudit(self.book, self.book_ms, self.book_hash)
        return self.audit

    def end_audit(self, audit: SnapshotAudit, verdict: AuditVerdict, now_ms: int) -> None:
        """End an audit, with or without a verdict."""
        if self.audit is audit:
            self.audit = None
        self.audited_ms = now_ms
        if verdict is AuditVerdict.MISSED:
            self.misses += 1
        elif verdict is AuditVerdict.SAME:
            self.misses = 0

    def begin_resync(self, now_ms: int) -> None:
        """Note that REST is being asked.

        Each time in vain the next one waits longer.
        """
        if self._doubt_period_ms is None or now_ms - self._last_request_ms > _DOUBT_PERIOD_MS:
            self._doubt_period_ms = now_ms
        self._requested_ms = self._last_request_ms = now_ms
        if self._collected is None or not self.on_socket:
            self._collect(self.book_ms if self.on_socket else 0)
        if self._first_request_ms is None:
            self._first_request_ms = now_ms
            self._known = len(self._collected or ())
        self._mismatches = min(self._mismatches + 1, len(_RESYNC_PAUSE_MS) - 1)
        self._resync_after_ms = now_ms + _RESYNC_PAUSE_MS[self._mismatches]
        sure_ms = self._doubt_period_ms + BEHIND_MS
        if now_ms < sure_ms:
            self._resync_after_ms = min(self._resync_after_ms, sure_ms)

    def end_resync(
        self,
        answer: RestBook | None,
        *,
        now_ms: int,
        received_ns: int,
    ) -> None:
        """Take REST's answer, with what was received since its time; None when there was none.

        It is left aside when our book is good and no older, and when it does not make a whole one:
        it is older than the doubt, or not what the venue's best prices say. A book that is in doubt
        for long takes it all the same, for as long as one that no connection keeps.
        """
        requested_ms, self._requested_ms = self._requested_ms, None
        if answer is not None:
            # One whose time says nothing is as good as an old one.
            answer = answer._replace(book_ms=believed_ms(answer.book_ms, received_ns, 0))
            if self.trust is not Trust.FRESH or answer.book_ms > self.book_ms:
                self._weigh(answer, requested_ms, now_ms, received_ns)
        if not self.doubtful:
            self._collected = None

    def _weigh(
        self, answer: RestBook, requested_ms: int | None, now_ms: int, received_ns: int
    ) -> None:
        later = self._completed_by(answer, requested_ms)
        whole = later is not None
        if self.on_socket and not whole and not _sure(self._doubt_period_ms, requested_ms):
            return
        message_ms = now_ms if requested_ms is None else requested_ms
        if later is None and self.rest_alone and self._has_newer(answer, message_ms):
            self._taken(now_ms, message_ms)
            return
        if later is None:
            later = max(self._since(answer), [], key=lambda changes: self._likely(answer, changes))
        self.book = caught_up(answer, later)
        self.book_hash = "" if later else answer.book_hash
        self.audit = None  # what it compares with is none of the socket's any more
        good = not self.book.crossed and (whole or not self.on_socket)
        self._enter(BookEvent.REST_WHOLE if good else BookEvent.REST_DOUBTFUL)
        self._taken(now_ms, message_ms)
        self._moved(max([answer.book_ms, *(ms for ms, _ in later)]), received_ns)
        if not self.doubtful:
            self._reported_best = (self.book.best_bid, self.book.best_ask)
            self._doubt_period_ms = self._whole_since_ms = None

    def _has_newer(self, answer: RestBook, message_ms: int) -> bool:
        """Return whether the connection has reported a whole book that the answer need not
        contain."""
        return answer.book_ms < self._whole_ms and message_ms - self._whole_at_ms < BEHIND_MS

    def _taken(self, now_ms: int, message_ms: int) -> None:
        self._rest_taken_ms = now_ms
        self._mismatches = 0
        self._resync_after_ms = message_ms + _RESYNC_PAUSE_MS[1]

    def _since(self, answer: RestBook) -> list[ReceivedChanges]:
        return [changes for changes in self._collected or () if changes[0] >= answer.book_ms]

    def _likely(self, answer: RestBook, changes: list[ReceivedChanges]) -> tuple[bool, bool]:
        book = caught_up(answer, changes)
        return not book.crossed, book.agrees(*self._reported_best)

    def _completed_by(
        self, answer: RestBook, requested_ms: int | None
    ) -> list[ReceivedChanges] | None:
        """Return what was received and makes an answer a whole book; None: nothing does."""
        reported = self._reported_best if self.doubtful else _UNSAID
        later = self._since(answer)
        contained = self._since_ms is not None and answer.book_ms >= self._since_ms
        if contained and agrees(answer, later, reported):
            return later
        if self.on_socket and _sure(self._first_request_ms, requested_ms):
            # Whatever its time means, it contains what was received by then. Of what was received
            # since it may contain some: each level is reported as a total.
            changes = list(self._collected or ())[self._known :]
            book = caught_up(answer, changes)
            if not book.crossed and book.agrees(*reported):
                return changes
        return None

    def _doubt(self, event: BookEvent, since_ms: int | None) -> None:
        """Begin a doubt: the book is wrong somewhere, whatever REST said before."""
        whole_ms, self._whole_since_ms = self._whole_since_ms, None
        if whole_ms is not None and self.received_ns // 1_000_000 - whole_ms >= BEHIND_MS:
            self._doubt_period_ms = None  # what could not be read then has nothing to do with it
        self._enter(event)
        self._rest_taken_ms = None
        self._collect(since_ms)

    def _collect(self, since_ms: int | None) -> None:
        """Begin anew with what the next answer needs, if one is wanted."""
        desired = self.resyncing or (self.doubtful and self.on_socket)
        self._collected = deque() if desired else None
        self._since_ms = since_ms
        self._first_request_ms = None

    def _keep(self, changes: Sequence[LevelChange], book_ms: int) -> None:
        if self._collected is None:
            return
        if self._since_ms is None:
            # Later than what was received before the gap, for there may be several of one time.
            self._since_ms = max(book_ms, self.book_ms + 1)
        self._collected.append((book_ms, changes))
        if len(self._collected) > _COLLECTED_MAX:
            self._since_ms = max(self._since_ms, self._collected.popleft()[0] + 1)
            self._first_request_ms = None

    def status(
        self, now_ms: int, *, last_message_ms: int | None, stale_ms: int, rest_ms: int
    ) -> Status:
        """Return whether the book may be traded on.

        Args:
            now_ms: the present.
            last_message_ms: when anything was received on the asset's connection; None: it is down.
            stale_ms: how old that may be.
            rest_ms: how long a book from REST alone counts as fresh.
        """
        connected = (
            self.on_socket and last_message_ms is not None and now_ms - last_message_ms < stale_ms
        )
        rest_fresh = self._rest_taken_ms is not None and now_ms - self._rest_taken_ms < rest_ms
        if not connected and not rest_fresh:
            return Status.STALE
        if self.book.crossed:
            return Status.CROSSED
        if self.doubtful and not rest_fresh:
            return Status.STALE
        return Status.EMPTY if self.book.empty else Status.FRESH

    def _moved(self, book_ms: int, received_ns: int) -> None:
        self.book_ms = book_ms
        self.received_ns = received_ns
        self.revision += 1


def apply(book: Book, changes: Sequence[LevelChange]) -> None:
    """Set the levels that a message reported."""
    for change in changes:
        book.change(is_bid=change.is_bid, price=change.price, size=change.size)


def caught_up(answer: RestBook, later: Iterable[ReceivedChanges]) -> Book:
    """Return REST's book with what was received since."""
    book = Book()
    book.replace(answer.bids, answer.asks)
    for _, changes in later:
        apply(book, changes)
    return book


def agrees(
    answer: RestBook,
    later: Iterable[ReceivedChanges],
    reported: tuple[int | None, int | None] = _UNSAID,
) -> bool:
    """Return whether the venue's best prices agree throughout with what was received since an
    answer.

    Of messages of one time the answer may contain the first few, so they are compared after the
    last one. So are the changes of one message: between two of them the best prices may be those
    of neither state.

    Args:
        answer: what REST said.
        later: what was received and is not older, in order.
        reported: the best prices that the venue stated last.
    """
    book = caught_up(answer, ())
    for _, group in groupby(later, key=itemgetter(0)):
        changes = [change for _, message in group for change in message]
        apply(book, changes)
        if book.crossed or not book.agrees(changes[-1].best_bid, changes[-1].best_ask):
            return False
    return not book.crossed and book.agrees(*reported)


def believed_ms(book_ms: int, received_ns: int, otherwise_ms: int) -> int:
    """Return the venue's time of what was received then, or another one when that cannot be.

    A single time of next year would be later than whatever else is reported of its book.
    """
    return book_ms if book_ms <= received_ns // 1_000_000 + AHEAD_MS else otherwise_ms


def _sure(first_request_ms: int | None, requested_ms: int | None) -> bool:
    """Return whether an answer contains for certain what was missed before a first question."""
    if requested_ms is None or first_request_ms is None:
        return False
    return requested_ms - first_request_ms >= BEHIND_MS
