"""The newest events in memory, for many readers who each want some of them.

A reader sleeps until an event that he wants is there: a thousand who wait for what does not happen
cost next to nothing while others happen. None has a queue of his own, so a slow one costs nothing
either. Before it: whoever appends, in the order of the log. After it: streams, lanes of webhooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from tradingtools.domain.event import Event, Selection
from tradingtools.rpc.streams import Load, Tail

EVERYTHING: Final = Selection()
_CAPACITY = 4096
_BYTES = 16 * 1024 * 1024
"""Bound of the bytes of events in memory; what was made of them may have as much again."""
Numbered = tuple[int, Event]


class _Waiting:
    """The readers of one selection."""

    def __init__(self) -> None:
        self.readers = 0
        self.come = asyncio.Event()
        self.before = 0
        """The number before the event that has come: nothing up to it was wanted."""


class EventFeed(Tail[Event]):
    """The tail of the log. Its numbers have no gap.

    Args:
        floor: the number of the newest event that is in the store at start.
        load: reads what memory no longer holds.
    """

    def __init__(self, floor: int, load: Load[Event]) -> None:
        super().__init__(floor, load, capacity=_CAPACITY)
        self._waiting: dict[Selection, _Waiting] = {}
        self._bytes = 0

    def append(self, cursor: int, item: Event) -> None:
        """Add an event and wake those who want it. Raises ValueError when it does not rise."""
        super().append(cursor, item)
        self._bytes += len(item.data)
        while self._bytes > _BYTES:
            self.forget_oldest()
        come = [desired for desired in self._waiting if desired.takes(item)]
        for desired in come:
            waiting = self._waiting.pop(desired)
            waiting.before = cursor - 1
            waiting.come.set()

    async def select(
        self, after: int, desired: Selection, *, checkpoint_seconds: float
    ) -> AsyncIterator[tuple[int, list[Numbered]]]:
        """Yield (number, events) for ever: what a reader wants up to a number of the log.

        Args:
            after: the number of the last event that he has.
            desired: which ones he wants.
            checkpoint_seconds: after which an empty list tells how far the log has been looked
                through.
        """
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        while True:
            found = await self.page(after)
            if found is None:
                after = await self.until_needed(after, desired, sent_at + checkpoint_seconds)
                events: list[Numbered] = []
            else:
                after, items = found
                numbered = enumerate(items, after - len(items) + 1)
                events = [entry for entry in numbered if desired.takes(entry[1])]
            if events or loop.time() >= sent_at + checkpoint_seconds:
                sent_at = loop.time()
                yield after, events

    def forget_oldest(self) -> Event:
        """Leave the oldest event in memory to the store."""
        oldest = super().forget_oldest()
        self._bytes -= len(oldest.data)
        return oldest

    async def until_needed(self, after: int, desired: Selection, until: float) -> int:
        """Wait for an event that is wanted; return up to where there is none.

        Args:
            after: up to where nothing was wanted.
            desired: which events.
            until: the loop's time at which the waiting ends.
        """
        if after < self.last:
            # What came before this began has woken nobody: whoever waits in a task begins later.
            return after
        waiting = self._waiting.setdefault(desired, _Waiting())
        waiting.readers += 1
        try:
            async with asyncio.timeout_at(until):
                await waiting.come.wait()
        except TimeoutError:
            # Appended since, and awake for it: then it is not to be passed over.
            return waiting.before if waiting.come.is_set() else max(after, self.last)
        finally:
            waiting.readers -= 1
            if not waiting.readers and self._waiting.get(desired) is waiting:
                del self._waiting[desired]
        return waiting.before


class ResultCache:
    """Results made of the newest events, so that a hundred readers cost one encoding.

    Args:
        make: of an event and its number.
    """

    def __init__(self, make: Callable[[int, Event], bytes]) -> None:
        self._make = make
        self._made: dict[int, bytes] = {}
        self._bytes = 0

    def of(self, number: int, event: Event) -> bytes:
        """Return what is made of an event."""
        made = self._made.get(number)
        if made is None:
            made = self._made[number] = self._make(number, event)
            self._bytes += len(made)
            while self._bytes > _BYTES or len(self._made) > _CAPACITY:
                # A dictionary keeps the order in which its keys came.
                self._bytes -= len(self._made.pop(next(iter(self._made))))
        return made
