"""Walks the timeline in real time: waits until a step is due, then has the venue take it.

Steps carry the wall clock they were due at, not the one they were taken at, so the rows of one
transaction keep their gaps exactly. A restart goes on at the next step that was not taken, without
making up for the time it was down.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from paper.venue.core import amounts, rng
from paper.venue.core.schedule import Event, Kind
from paper.venue.venue import Position, Venue


class Player:
    """The replay's clock. `start_delay_ms` None: wait to be told."""

    def __init__(
        self,
        *,
        venue: Venue,
        timeline: Sequence[Event],
        position: Position,
        seed: int,
        loop: bool,
        start_delay_ms: int | None,
    ) -> None:
        self.done = False
        self.lap = position.lap
        self._venue = venue
        self._timeline = timeline
        self._seed = seed
        self._loop = loop
        self._delay_ms = start_delay_ms
        self._rows = position.rows
        self._reported = asyncio.Event()
        self._moving = asyncio.Event()
        self._halting = asyncio.Event()
        self._moving.set()
        self._paused_at = 0.0
        self._base = 0.0  # monotonic seconds of the timeline's zero
        self._wall_ms = 0  # wall clock of the same instant
        self._was_started = position.started

    @property
    def started(self) -> bool:
        """Return whether the replay runs or has run."""
        return self._was_started or self._reported.is_set()

    @property
    def paused(self) -> bool:
        """Return whether it stands still until `resume`."""
        return not self._moving.is_set()

    def start(self) -> None:
        """Start now; a second time changes nothing."""
        self._reported.set()

    def pause(self) -> None:
        """Stand still; a second time changes nothing."""
        if not self.paused:
            self._paused_at = time.monotonic()
            self._moving.clear()
            self._halting.set()

    def resume(self) -> None:
        """Go on where it paused, without making up for it."""
        if self.paused:
            self._shift(time.monotonic() - self._paused_at)
            self._halting.clear()
            self._moving.set()

    async def run(self) -> None:
        """Play to the tape's end, or for ever."""
        await self._begin()
        rest = self._rest()
        self._set_zero(rest[0].at_ms if rest else 0)
        while True:
            for event in rest:
                await self._until(event.at_ms)
                self._take(event)
            if not self._loop:
                self.done = True
                await asyncio.Event().wait()
            self.lap += 1
            rest = self._timeline
            self._set_zero(0)

    async def _begin(self) -> None:
        if self._was_started:
            return
        delay = None if self._delay_ms is None else self._delay_ms / 1000
        try:
            await asyncio.wait_for(self._reported.wait(), delay)
        except TimeoutError:
            self._reported.set()
        self._venue.begin(time.time_ns() // 1_000_000)

    def _rest(self) -> Sequence[Event]:
        """The steps not taken yet. Books that had moved ahead of their trade move again."""
        taken = [
            i for i, e in enumerate(self._timeline) if e.kind is Kind.ROW and e.row in self._rows
        ]
        position = taken[-1] + 1 if taken else 0
        for event in self._timeline[:position]:
            ahead = event.kind is Kind.ANCHOR and event.row not in self._rows
            if ahead or event.kind is Kind.RESOLVE:
                self._wall_ms = time.time_ns() // 1_000_000 - event.at_ms
                self._take(event)
        return self._timeline[position:]

    def _set_zero(self, next_ms: int) -> None:
        """Make the step at `next_ms` of the timeline due now."""
        self._base = time.monotonic() - next_ms / 1000
        self._wall_ms = time.time_ns() // 1_000_000 - next_ms
        self._paused_at = time.monotonic()

    def _shift(self, seconds: float) -> None:
        self._base += seconds
        self._wall_ms += round(seconds * 1000)

    async def _until(self, at_ms: int) -> None:
        while True:
            await self._moving.wait()
            delay = self._base + at_ms / 1000 - time.monotonic()
            if delay <= 0:
                return
            try:
                await asyncio.wait_for(self._halting.wait(), delay)
            except TimeoutError:
                return

    def _take(self, event: Event) -> None:
        wall_ms = self._wall_ms + event.at_ms
        if event.kind is Kind.ANCHOR:
            self._venue.move(event.row, wall_ms)
        elif event.kind is Kind.ROW:
            self._venue.play(self.lap, event.row, wall_ms)
        else:
            market = self._venue.live_books.market_of(self._venue.tape[event.row].trade)
            first = rng.key(self._seed, "winner", market.condition) % 2
            payouts = (amounts.ONE, 0) if first else (0, amounts.ONE)
            self._venue.resolve(market, payouts, wall_ms)
