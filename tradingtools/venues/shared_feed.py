"""One reading of a venue's markets for all of a process who follow them.

Each of them would decode the same frames otherwise. Who comes later is told at once how things
stand: the last book, funding, mark, index and phase of each instrument.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from tradingtools import clock
from tradingtools.domain.instrument import Instrument
from tradingtools.tasks import cancel_all
from tradingtools.venues.mailbox import Mailbox
from tradingtools.venues.trading import MarketEvent, MarketFeed, PhaseChange, Print


class _Reading:
    """One connection of the feed, for the instruments that nobody followed when it began."""

    def __init__(self, feed: MarketFeed, instruments: Sequence[Instrument]) -> None:
        self.ids = frozenset(one.id for one in instruments)
        self.readers: dict[Mailbox, frozenset[str]] = {}
        self._instruments = {one.id: one for one in instruments}
        """With the phases and rules that were told."""
        self._last: dict[str, dict[type, MarketEvent]] = {}
        self.task = asyncio.create_task(self._read(feed, instruments))

    async def _read(self, feed: MarketFeed, instruments: Sequence[Instrument]) -> None:
        try:
            async for event in feed.events(instruments):
                self._notify(event)
        finally:
            # Whoever waits for the next event has to hear of a defect.
            for mail in self.readers:
                mail.close()

    def _notify(self, event: MarketEvent) -> None:
        named = _named(event)
        if isinstance(event, PhaseChange):
            self._instruments[named] = replace(event.instrument, phase=event.phase)
        if not isinstance(event, Print):
            self._last.setdefault(named, {})[type(event)] = event
        for mail, desired in self.readers.items():
            if named in desired:
                mail.put(event)

    def join(self, mail: Mailbox, instruments: Sequence[Instrument]) -> None:
        """Tell a reader how its instruments stand, and each change from now on."""
        ours = sorted((one for one in instruments if one.id in self.ids), key=lambda one: one.id)
        self.readers[mail] = frozenset(one.id for one in ours)
        for one in ours:
            last = self._last.get(one.id, {})
            if PhaseChange not in last and one != self._instruments[one.id]:
                # It was read at another time, and what has changed since was told before it.
                mail.put(_difference(one, self._instruments[one.id]))
            for event in last.values():
                mail.put(event)


class SharedFeed:
    """A port of market data that reads each instrument once; see the module.

    Args:
        feed: of the venue.
    """

    def __init__(self, feed: MarketFeed) -> None:
        self._feed = feed
        self._by_id: dict[str, _Reading] = {}

    async def events(self, instruments: Sequence[Instrument]) -> AsyncGenerator[MarketEvent, None]:
        """Tell how the instruments stand, then each change, for ever.

        Raises:
            Exception: what the feed died of.
        """
        mail = Mailbox()
        readings = self._joined(mail, instruments)
        try:
            async for event in mail.all():
                yield event
            for one in readings:
                if one.task.done():
                    one.task.result()
        finally:
            await self._left(mail, readings)

    def _joined(self, mail: Mailbox, instruments: Sequence[Instrument]) -> set[_Reading]:
        # One that has died tells nobody anything, until its readers have left it.
        living = {named for named, one in self._by_id.items() if not one.task.done()}
        new = [one for one in instruments if one.id not in living]
        if new:
            reading = _Reading(self._feed, new)
            self._by_id.update(dict.fromkeys(reading.ids, reading))
        desired = frozenset(one.id for one in instruments)
        found = {self._by_id[one] for one in desired}
        for one in found:
            one.join(mail, instruments)
        return found

    async def _left(self, mail: Mailbox, readings: set[_Reading]) -> None:
        for one in readings:
            one.readers.pop(mail, None)
        over = [one for one in readings if one.task.done() or not one.readers]
        for one in over:
            for named in one.ids:
                if self._by_id.get(named) is one:
                    del self._by_id[named]
        await cancel_all([one.task for one in over])


def _difference(old: Instrument, new: Instrument) -> PhaseChange:
    cause = "tick_change" if new.phase is old.phase else "restart"
    return PhaseChange(instrument=new, phase=new.phase, cause=cause, venue_ms=clock.now_ms())


def _named(event: MarketEvent) -> str:
    return event.instrument.id if isinstance(event, PhaseChange) else event.instrument_id
