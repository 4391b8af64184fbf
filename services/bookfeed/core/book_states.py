"""The states of a book and what each event makes of them, as a table. Pure.

`book_state` judges what was received, and the table says which state follows. FRESH, STALE and so
on of the contract (`Status`) follow from the state and the age of what was received.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto
from types import MappingProxyType


class Trust(StrEnum):
    """The state of a book: what keeps it whole, if anything does."""

    UNSEEN = auto()
    """Nothing yet."""
    FRESH = auto()
    """The socket: a snapshot came, and all changes since."""
    DOUBTED = auto()
    """The socket, but something is wrong: a snapshot is fetched over REST."""
    REST_OVERRIDES = auto()
    """REST, although the socket is there: it has not made the book whole for long."""
    REST_ONLY = auto()
    """REST: there is no connection."""
    REST_ONLY_DOUBTED = auto()
    """REST, and its book is wrong somewhere: there is no connection."""
    OFFLINE = auto()
    """Nothing: the connection is gone, and REST has not answered since."""
    DOUBTED_OFFLINE = auto()
    """Nothing, and the book was wrong before the connection went."""


class BookEvent(StrEnum):
    """An event that may change the state."""

    SNAPSHOT = auto()
    """The socket sent a whole book."""
    CROSSED_SNAPSHOT = auto()
    """The socket sent a book whose best bid is not below its best ask."""
    LATE_SNAPSHOT = auto()
    """The socket sent a book that is older than ours and other than ours."""
    CHANGES = auto()
    """The socket sent changes of levels, after which the venue's best prices are ours."""
    WRONG_CHANGES = auto()
    """The socket sent changes after which the book is crossed or has other best prices."""
    UNREADABLE = auto()
    """The socket sent what may have been a change and cannot be read."""
    DISCONNECTED = auto()
    MISSED = auto()
    """An audit found that the connection does not send all there is."""
    REST_WHOLE = auto()
    """REST's answer was taken and makes the book whole."""
    REST_DOUBTFUL = auto()
    """REST's answer was taken although it does not make the book whole."""


ON_SOCKET = frozenset({Trust.FRESH, Trust.DOUBTED, Trust.REST_OVERRIDES})
"""A snapshot came over the present connection, so changes keep the book whole."""
DOUBTFUL = frozenset(
    {Trust.DOUBTED, Trust.REST_OVERRIDES, Trust.REST_ONLY_DOUBTED, Trust.DOUBTED_OFFLINE}
)
"""The book is known to be wrong somewhere."""
REST_ALONE = frozenset(
    {Trust.UNSEEN, Trust.OFFLINE, Trust.REST_ONLY, Trust.REST_ONLY_DOUBTED, Trust.REST_OVERRIDES}
)
"""The book is REST's, whatever the socket sends; REST is queried again before it is stale."""
IN_DOUBT = frozenset({Trust.DOUBTED, Trust.DOUBTED_OFFLINE})
"""The next snapshot decides; a snapshot is fetched over REST."""

_T, _E = Trust, BookEvent

TRANSITIONS: Mapping[tuple[Trust, BookEvent], Trust] = MappingProxyType(
    {
        (_T.UNSEEN, _E.SNAPSHOT): _T.FRESH,
        (_T.UNSEEN, _E.CROSSED_SNAPSHOT): _T.DOUBTED,
        (_T.UNSEEN, _E.CHANGES): _T.OFFLINE,
        (_T.UNSEEN, _E.REST_WHOLE): _T.REST_ONLY,
        (_T.UNSEEN, _E.REST_DOUBTFUL): _T.REST_ONLY_DOUBTED,
        (_T.FRESH, _E.CROSSED_SNAPSHOT): _T.DOUBTED,
        (_T.FRESH, _E.LATE_SNAPSHOT): _T.DOUBTED,
        (_T.FRESH, _E.WRONG_CHANGES): _T.DOUBTED,
        (_T.FRESH, _E.UNREADABLE): _T.DOUBTED,
        (_T.FRESH, _E.DISCONNECTED): _T.OFFLINE,
        (_T.FRESH, _E.MISSED): _T.DOUBTED_OFFLINE,
        # REST is newer, and its own book is crossed.
        (_T.FRESH, _E.REST_DOUBTFUL): _T.REST_OVERRIDES,
        (_T.DOUBTED, _E.SNAPSHOT): _T.FRESH,
        (_T.DOUBTED, _E.DISCONNECTED): _T.DOUBTED_OFFLINE,
        (_T.DOUBTED, _E.MISSED): _T.DOUBTED_OFFLINE,
        (_T.DOUBTED, _E.REST_WHOLE): _T.FRESH,
        (_T.DOUBTED, _E.REST_DOUBTFUL): _T.REST_OVERRIDES,
        (_T.REST_OVERRIDES, _E.DISCONNECTED): _T.REST_ONLY_DOUBTED,
        (_T.REST_OVERRIDES, _E.MISSED): _T.REST_ONLY_DOUBTED,
        (_T.REST_OVERRIDES, _E.REST_WHOLE): _T.FRESH,
        (_T.REST_ONLY, _E.SNAPSHOT): _T.FRESH,
        (_T.REST_ONLY, _E.CROSSED_SNAPSHOT): _T.DOUBTED,
        (_T.REST_ONLY, _E.LATE_SNAPSHOT): _T.DOUBTED,
        (_T.REST_ONLY, _E.REST_DOUBTFUL): _T.REST_ONLY_DOUBTED,
        (_T.REST_ONLY_DOUBTED, _E.SNAPSHOT): _T.FRESH,
        (_T.REST_ONLY_DOUBTED, _E.CROSSED_SNAPSHOT): _T.REST_OVERRIDES,
        (_T.REST_ONLY_DOUBTED, _E.LATE_SNAPSHOT): _T.DOUBTED,
        (_T.REST_ONLY_DOUBTED, _E.REST_WHOLE): _T.REST_ONLY,
        (_T.OFFLINE, _E.SNAPSHOT): _T.FRESH,
        (_T.OFFLINE, _E.CROSSED_SNAPSHOT): _T.DOUBTED,
        (_T.OFFLINE, _E.LATE_SNAPSHOT): _T.DOUBTED,
        (_T.OFFLINE, _E.REST_WHOLE): _T.REST_ONLY,
        (_T.OFFLINE, _E.REST_DOUBTFUL): _T.REST_ONLY_DOUBTED,
        (_T.DOUBTED_OFFLINE, _E.SNAPSHOT): _T.FRESH,
        (_T.DOUBTED_OFFLINE, _E.CROSSED_SNAPSHOT): _T.DOUBTED,
        (_T.DOUBTED_OFFLINE, _E.LATE_SNAPSHOT): _T.DOUBTED,
        (_T.DOUBTED_OFFLINE, _E.REST_WHOLE): _T.REST_ONLY,
        (_T.DOUBTED_OFFLINE, _E.REST_DOUBTFUL): _T.REST_ONLY_DOUBTED,
    }
)
"""The transitions; an event that is not here leaves the state as it is."""


def after(state: Trust, event: BookEvent) -> Trust:
    """Return the state that follows."""
    return TRANSITIONS.get((state, event), state)
