"""Up to which number the rows of the source tables are complete. Pure.

Numbers are given out while transactions run, so a row with a lower number may become visible after
one with a higher number. A writer has a transaction id before it takes a number. So once every
transaction has ended whose id was given out before a look at the newest number, no row up to that
number can appear any more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonReading:
    """The results of one read of the database, in this order."""

    newest: int
    """The newest number that was given out."""
    xid: int
    """The look's own transaction id, taken after ``newest`` was read: whoever took a number up to
    ``newest`` has a lower one."""
    oldest_xid: int
    """The oldest transaction that runs, the look's own included; read last."""


class Horizon:
    """The number up to which nothing can appear any more; it only rises."""

    def __init__(self, complete: int) -> None:
        self.complete = complete
        self._waiting: deque[HorizonReading] = deque()

    def see(self, poll: HorizonReading) -> int:
        """Take a look into account; return the number up to which the rows are complete."""
        if poll.newest > (self._waiting[-1].newest if self._waiting else self.complete):
            self._waiting.append(poll)
        while self._waiting and self._waiting[0].xid <= poll.oldest_xid:
            self.complete = self._waiting.popleft().newest
        return self.complete
