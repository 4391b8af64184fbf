"""The states of a book's trust, and every transition there is.

`book_state` derives the state from what it has received and asks it what may be done; the tests
walk the real object and compare each change of state with this table. FRESH, STALE and so on of the
contract (`Status`) follow from the state and the age of what was received.
"""

from __future__ import annotations

from enum import Enum, auto


class Trust(Enum):
    """The state of a book: what keeps it whole, if anything does."""

    UNSEEN = auto()
    """Nothing yet."""
    FRESH = auto()
    """The socket: a snapshot came, and all changes since."""
    DOUBTED = auto()
    """The socket, but something is wrong: REST is asked for a snapshot."""
    REST_OVERRIDES = auto()
    """REST, although the socket is there: it has not made the book whole for long."""
    REST_ONLY = auto()
    """REST: there is no connection."""
    OFFLINE = auto()
    """Nothing: the connection is gone, and REST has not answered since."""
    DOUBTED_OFFLINE = auto()
    """Nothing, and the book was wrong before the connection went."""


class BookEvent(Enum):
    """An event that may change the state."""

    SNAPSHOT = auto()
    """The socket sent a whole book."""
    CHANGES = auto()
    """The socket sent changes of levels."""
    UNREADABLE = auto()
    """The socket sent what may have been a change and cannot be read."""
    DISCONNECTED = auto()
    MISSED = auto()
    """An audit found that the connection does not send all there is."""
    REST_ANSWER = auto()
    """REST answered a request for the book."""


REST_ALONE = frozenset({Trust.UNSEEN, Trust.OFFLINE, Trust.REST_ONLY, Trust.REST_OVERRIDES})
"""The book is REST's, whatever the socket sends; REST is asked again before it is stale."""
IN_DOUBT = frozenset({Trust.DOUBTED, Trust.DOUBTED_OFFLINE})
"""The next snapshot decides; REST is asked for one."""

_T, _E = Trust, BookEvent

TRANSITIONS: frozenset[tuple[Trust, BookEvent, Trust]] = frozenset(
    {
        (_T.UNSEEN, _E.SNAPSHOT, _T.FRESH),
        (_T.UNSEEN, _E.SNAPSHOT, _T.DOUBTED),
        (_T.UNSEEN, _E.CHANGES, _T.OFFLINE),
        (_T.UNSEEN, _E.REST_ANSWER, _T.REST_ONLY),
        (_T.FRESH, _E.SNAPSHOT, _T.DOUBTED),
        (_T.FRESH, _E.CHANGES, _T.DOUBTED),
        (_T.FRESH, _E.UNREADABLE, _T.DOUBTED),
        (_T.FRESH, _E.DISCONNECTED, _T.OFFLINE),
        (_T.FRESH, _E.MISSED, _T.DOUBTED_OFFLINE),
        # REST is newer, and its own book is crossed.
        (_T.FRESH, _E.REST_ANSWER, _T.REST_OVERRIDES),
        (_T.DOUBTED, _E.SNAPSHOT, _T.FRESH),
        (_T.DOUBTED, _E.DISCONNECTED, _T.DOUBTED_OFFLINE),
        (_T.DOUBTED, _E.MISSED, _T.DOUBTED_OFFLINE),
        (_T.DOUBTED, _E.REST_ANSWER, _T.FRESH),
        (_T.DOUBTED, _E.REST_ANSWER, _T.REST_OVERRIDES),
        (_T.REST_OVERRIDES, _E.DISCONNECTED, _T.REST_ONLY),
        (_T.REST_OVERRIDES, _E.MISSED, _T.REST_ONLY),
        (_T.REST_OVERRIDES, _E.REST_ANSWER, _T.FRESH),
        (_T.REST_ONLY, _E.SNAPSHOT, _T.FRESH),
        (_T.REST_ONLY, _E.SNAPSHOT, _T.DOUBTED),
        (_T.REST_ONLY, _E.SNAPSHOT, _T.REST_OVERRIDES),
        (_T.OFFLINE, _E.SNAPSHOT, _T.FRESH),
        (_T.OFFLINE, _E.SNAPSHOT, _T.DOUBTED),
        (_T.OFFLINE, _E.REST_ANSWER, _T.REST_ONLY),
        (_T.DOUBTED_OFFLINE, _E.SNAPSHOT, _T.FRESH),
        (_T.DOUBTED_OFFLINE, _E.SNAPSHOT, _T.DOUBTED),
        (_T.DOUBTED_OFFLINE, _E.REST_ANSWER, _T.REST_ONLY),
    }
)
"""The transitions; an event that is not here leaves the state as it is."""


def trust_of(*, seen: bool, on_socket: bool, doubtful: bool, rest_taken: bool) -> Trust:
    """Return the state of a book.

    Args:
        seen: whether anything was received.
        on_socket: whether a snapshot came over the present connection.
        doubtful: whether the book is known to be wrong somewhere.
        rest_taken: whether an answer of REST was taken since the doubt or the connection began.
    """
    if on_socket and not doubtful:
        return Trust.FRESH
    if on_socket:
        return Trust.REST_OVERRIDES if rest_taken else Trust.DOUBTED
    if rest_taken:
        return Trust.REST_ONLY
    if doubtful:
        return Trust.DOUBTED_OFFLINE
    return Trust.OFFLINE if seen else Trust.UNSEEN
