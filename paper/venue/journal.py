"""The journal of what really left for whom, and of requests by REST.

Tests and the terminal view judge the engine by this, not by what the engine says of itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from itertools import islice

import msgspec

_RETAINED = 200_000
_REQUESTS_RETAINED = 20_000


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that was handed to the socket; `sent_ns` is the wall clock."""

    seq: int
    topic: str
    tx: str
    wallet: str
    asset: str
    side: str
    price: str
    size: str
    socket: int
    sent_ns: int


class Journal:
    """The last entries, numbered from 1 without gaps."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_RETAINED)
        self.last = 0

    def add(
        self, *, topic: str, row: tuple[str, str, str, str, str, str], socket: int, ns: int
    ) -> None:
        """Note a row (tx, wallet, asset, side, price text, size text) sent on a socket."""
        self.last += 1
        tx, wallet, asset, side, price, size = row
        self._entries.append(
            Entry(
                seq=self.last,
                topic=topic,
                tx=tx,
                wallet=wallet,
                asset=asset,
                side=side,
                price=price,
                size=size,
                socket=socket,
                sent_ns=ns,
            )
        )

    def after(self, seq: int, limit: int) -> list[Entry]:
        """Up to `limit` entries that follow `seq`, oldest first."""
        first = self.last - len(self._entries)
        begin = max(seq - first, 0)
        return list(islice(self._entries, begin, begin + limit))


class RestRequestRecord(msgspec.Struct, kw_only=True):
    """A question by REST, in the order of arrival."""

    seq: int
    path: str
    query: str
    answered: bool = False


class Questions:
    """The last questions, numbered from 1 without gaps."""

    def __init__(self) -> None:
        self._requested: deque[RestRequestRecord] = deque(maxlen=_REQUESTS_RETAINED)
        self._last = 0
        self._stalled_until = 0.0

    def stall(self, seconds: float) -> None:
        """Let no answer leave to what is asked from now on, for so long; 0 ends it for what is
        asked then."""
        self._stalled_until = time.monotonic() + seconds

    async def stall_over(self) -> None:
        """Wait until an answer to what is asked now may leave."""
        await asyncio.sleep(max(self._stalled_until - time.monotonic(), 0))

    def add(self, path: str, query: str) -> RestRequestRecord:
        """Note one that has come, to be marked once it is answered."""
        self._last += 1
        requested = RestRequestRecord(seq=self._last, path=path, query=query)
        self._requested.append(requested)
        return requested

    def all(self) -> list[RestRequestRecord]:
        """Return what is kept, oldest first."""
        return list(self._requested)
