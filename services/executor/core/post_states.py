"""The states of one attempt between its SUBMITTING commit and its outcome, as a table. Pure.

`sender` and `slow_path` ask it for each step. CONCLUDED and ABANDONED are final: each attempt ends
in exactly one of them, once. After a kill -9 in any other state the attempt's lease runs out, its
order becomes UNKNOWN, and confirm queries insiders-api for its key. In NEW, WAITING and READY no
byte has left; in HELD none has, or what left was provably not taken; in SENT, ANSWERED and POSTING
the order may exist. CONCLUDED is durable when the recorder has written it. An attempt that is not
its order's first goes from HELD to POSTING only by a fresh answer that one key is one order.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import Final


class PostState(StrEnum):
    """The state of an attempt."""

    NEW = auto()
    """SUBMITTING is committed."""
    WAITING = auto()
    """Behind an earlier entry of its wallet."""
    READY = auto()
    """Its lane is free; its first bytes are next."""
    SENT = auto()
    """Its POST is under way on a connection that was ready."""
    ANSWERED = auto()
    """Its answer, or that there is none, waits to be processed."""
    HELD = auto()
    """Nothing is under way: it waits for the gates, the breaker, a connection or a pause."""
    POSTING = auto()
    """A task of its own sends its POST, or reports its answer to the breaker."""
    CONCLUDED = auto()
    """The recorder has its outcome."""
    ABANDONED = auto()
    """An exception ended it; its order becomes UNKNOWN."""


class PostEvent(StrEnum):
    """An event that moves an attempt."""

    LANE_BUSY = auto()
    LANE_FREE = auto()
    SENT_AT_ONCE = auto()
    HELD_UP = auto()
    """It cannot be sent at once."""
    ANSWERED = auto()
    """The POST has ended, with an answer or without."""
    NOT_FINAL = auto()
    """The breaker needs the answer, and perhaps it is sent again."""
    POSTED = auto()
    NOT_ACCEPTED = auto()
    """It was provably not taken, or no byte has left."""
    CONCLUDED = auto()
    FAILED = auto()
    """An unexpected exception."""


class IllegalTransition(Exception):
    """There is no such transition."""


_S, _E = PostState, PostEvent
NEXT: Final[dict[tuple[PostState, PostEvent], PostState]] = {
    (_S.NEW, _E.LANE_BUSY): _S.WAITING,
    (_S.NEW, _E.LANE_FREE): _S.READY,
    (_S.WAITING, _E.LANE_FREE): _S.READY,
    # Its time is over before it was its turn.
    (_S.WAITING, _E.CONCLUDED): _S.CONCLUDED,
    (_S.WAITING, _E.FAILED): _S.ABANDONED,
    (_S.READY, _E.SENT_AT_ONCE): _S.SENT,
    (_S.READY, _E.HELD_UP): _S.HELD,
    (_S.READY, _E.FAILED): _S.ABANDONED,
    (_S.SENT, _E.ANSWERED): _S.ANSWERED,
    (_S.ANSWERED, _E.CONCLUDED): _S.CONCLUDED,
    (_S.ANSWERED, _E.NOT_FINAL): _S.POSTING,
    (_S.ANSWERED, _E.FAILED): _S.ABANDONED,
    (_S.HELD, _E.POSTED): _S.POSTING,
    # Its time is over, or the gates hold it back for good.
    (_S.HELD, _E.CONCLUDED): _S.CONCLUDED,
    (_S.HELD, _E.FAILED): _S.ABANDONED,
    (_S.POSTING, _E.NOT_ACCEPTED): _S.HELD,
    (_S.POSTING, _E.CONCLUDED): _S.CONCLUDED,
    (_S.POSTING, _E.FAILED): _S.ABANDONED,
}
"""Every transition there is. A plain dict: it is on the way to each first byte."""
FINAL = frozenset({_S.CONCLUDED, _S.ABANDONED})
