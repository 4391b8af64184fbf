"""Runs the lane of one endpoint: its own tasks, so that a bad endpoint delays nobody else."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

from services.webhooks.core import lane as lanes
from services.webhooks.core.lane import Lane, Times
from services.webhooks.core.verdict import Answer, Verdict, retry_after_ms, verdict
from services.webhooks.keeper import Keeper
from services.webhooks.sender import LARGEST, Message, Sender
from services.webhooks.store import Delivery, Endpoint
from tradingtools import clock
from tradingtools.domain.event import Event
from tradingtools.runtime import instruments, telemetry
from tradingtools.runtime.event_feed import EventFeed, ResultCache
from tradingtools.storage.postgres import event_log
from tradingtools.storage.postgres.pool import Pool
from tradingtools.tasks import cancel_all

_log = structlog.get_logger("webhooks")
_attempts = instruments.counter(
    "tradingtools.webhooks",
    "webhooks_attempts",
    "attempts to deliver, by what came of them",
    instruments.each(outcome=Verdict),
)
_AWAY_SECONDS = 1.0
_MISSING_MS = 5_000
_POLL_SECONDS = 30.0
"""After which a lane says how far it has looked, though nothing was wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts that all lanes share."""

    feed: EventFeed
    pool: Pool
    sender: Sender
    keeper: Keeper
    bodies: ResultCache
    first_pause_ms: int
    report: Callable[[str, str | BaseException], None]
    """Called with an endpoint and why it is to be disabled, or what its lane has died of."""


class Runner:
    """One lane that runs.

    Args:
        endpoint: whose lane it is.
        lane: where it stands.
        parts: what all share.
    """

    def __init__(self, endpoint: Endpoint, lane: Lane, parts: Parts) -> None:
        self.endpoint = endpoint
        self.lane = lane
        self._parts = parts
        self._page: deque[tuple[int, Event]] = deque()
        self._page_end = 0
        self._held: dict[int, Event] = {}
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._poke = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    @property
    def waits_since(self) -> datetime | None:
        """Return when the oldest event was written down that this lane has and could deliver."""
        if not self.endpoint.enabled or self.lane.failing_since_ms is not None:
            return None
        known = [event.at for event in self._held.values()]
        known += [event.at for _, event in itertools.islice(self._page, 1)]
        return min(known, default=None)

    def start(self) -> None:
        """Begin, or go on."""
        self._running = self._task(self._run())

    async def stop(self) -> None:
        """End; what is under way is sent again when the lane goes on."""
        running = [] if self._running is None else [self._running]
        await cancel_all([*running, *self._under_way.values()])
        self._under_way.clear()
        self._running = None

    def replay(self, after: int, to: int) -> None:
        """Deliver a range of the log again, before what comes next."""
        self.lane = lanes.replayed(self.lane, after, to)
        self._page.clear()
        self._page_end = 0
        self._parts.keeper.moved(self.endpoint.id, self.lane)
        self._poke.set()

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        died = None if task.cancelled() else task.exception()
        if died is not None:
            self._parts.report(self.endpoint.id, died)

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except psycopg.OperationalError as error:
                _log.warning("a lane waits for the database", error=str(error))
                await asyncio.sleep(_AWAY_SECONDS)

    async def _step(self) -> None:
        self._poke.clear()
        number = lanes.due(self.lane, clock.now_ms(), frozenset(self._under_way))
        if number is not None:
            await self._again(number)
        elif not lanes.has_room(self.lane):
            await self._wait(None)
        elif not await self._poll():
            await self._wait(lanes.read_from(self.lane)[0])

    async def _again(self, number: int) -> None:
        event = self._held.get(number)
        if event is None:
            found = await event_log.after(self._parts.pool, number - 1, 1)
            if not found or found[0][0] != number:
                self._missing(number, gone=bool(found))
                return
            event = found[0][1]
        self._begin(number, event)

    def _missing(self, number: int, *, gone: bool) -> None:
        """Say that the log has no such event: not yet while it is made anew, or no more."""
        if gone:
            _log.error("an event is no more in the log, and not delivered",
                       endpoint=self.endpoint.id, number=number)  # fmt: skip
            _attempts.add(1, {"outcome": str(Verdict.GIVEN_UP)})
            self.lane = lanes.without(self.lane, number)
        else:
            _log.warning("an event is not in the log yet", endpoint=self.endpoint.id, number=number)
            self.lane = lanes.later(self.lane, number, clock.now_ms() + _MISSING_MS)
        self._parts.keeper.moved(self.endpoint.id, self.lane)

    async def _poll(self) -> bool:
        """Begin the next message, or look further; False: there is nothing yet."""
        after, to = lanes.read_from(self.lane)
        if not self._page:
            if self._page_end > after:
                end, self._page_end = self._page_end, 0
                self._passed(end if to is None else min(end, to))
                return True
            found = await self._parts.feed.page(after)
            if found is None:
                return False
            self._page_end, items = found
            desired = self.endpoint.desired
            first = self._page_end - len(items) + 1
            self._page.extend(
                (number, event) for number, event in enumerate(items, first) if desired.takes(event)
            )
            return True
        number, event = self._page.popleft()
        if to is not None and number > to:
            self._passed(to)
        elif number in self.lane.pending:
            self._passed(number)
        else:
            self._advance(lanes.take(self.lane, number))
            self._begin(number, event)
        return True

    def _passed(self, number: int) -> None:
        self._advance(lanes.passed(self.lane, number))
        self._parts.keeper.looked(self.endpoint.id, self.lane)

    def _advance(self, lane: Lane) -> None:
        if len(lane.replays) < len(self.lane.replays):
            # What was read goes on beyond the range, where it was delivered before.
            self._page.clear()
            self._page_end = 0
        self.lane = lane

    async def _wait(self, after: int | None) -> None:
        """Wait for an event, if any is wanted, for the next attempt, or for something else."""
        loop = asyncio.get_running_loop()
        due = lanes.next_due_ms(self.lane, frozenset(self._under_way))
        seconds = _POLL_SECONDS if due is None else max(0.0, (due - clock.now_ms()) / 1000)
        until = loop.time() + min(seconds, _POLL_SECONDS)
        poked = asyncio.ensure_future(self._poke.wait())
        waits: list[asyncio.Future[object]] = [poked]  # type: ignore[list-item]
        if after is not None:
            waits.append(
                asyncio.ensure_future(
                    self._parts.feed.until_needed(after, self.endpoint.desired, until)
                )
            )
        try:
            await asyncio.wait(
                waits, timeout=until - loop.time() + 0.01, return_when=asyncio.FIRST_COMPLETED
            )
            if after is not None and waits[1].done():
                reached = waits[1].result()
                assert isinstance(reached, int)  # noqa: S101 - of until_needed
                if reached > after and lanes.read_from(self.lane) == (after, None):
                    self._passed(reached)
        finally:
            await cancel_all(waits)

    def _begin(self, number: int, event: Event) -> None:
        self._held[number] = event
        self._under_way[number] = self._task(self._attempt(number, event))

    async def _attempt(self, number: int, event: Event) -> None:
        started_ns = clock.now_ns()
        body = self._parts.bodies.of(number, event)
        if len(body) > LARGEST:
            answer = Answer(status=0, text=f"the event is larger than {LARGEST // 1024} KiB")
            result = Verdict.GIVEN_UP
        else:
            answer = await self._parts.sender.send(
                self.endpoint.url, signing(self.endpoint), Message(id=event.id, body=body)
            )
            result = verdict(answer)
        delivery = self._settle(number, event, answer, result)
        if event.traceparent:
            telemetry.record_span(
                "webhooks.deliver", event.traceparent, started_ns, clock.now_ns(),
                endpoint=self.endpoint.id, event=event.id, type=event.type,
                attempt=delivery.attempt, status=delivery.status, outcome=delivery.outcome,
            )  # fmt: skip

    def _settle(self, number: int, event: Event, answer: Answer, result: Verdict) -> Delivery:
        now = clock.now_ms()
        attempt = self.lane.pending[number].attempts + 1
        times = Times(
            now_ms=now,
            first_pause_ms=self._parts.first_pause_ms,
            chance=random.random(),  # noqa: S311 - a spread of retries
            retry_after_ms=retry_after_ms(answer, now),
        )
        settled = lanes.settle(self.lane, number, result, times)
        self.lane = settled.lane
        if number not in self.lane.pending:
            self._held.pop(number, None)
        self._under_way.pop(number, None)
        _attempts.add(1, {"outcome": str(settled.verdict)})
        delivery = attempted(event.id, event.type, number, attempt, answer, settled.verdict)
        self._parts.keeper.moved(self.endpoint.id, self.lane, delivery)
        if settled.disable:
            self._parts.report(self.endpoint.id, settled.disable)
        self._poke.set()
        return delivery


def signing(endpoint: Endpoint) -> list[str]:
    """Return the secrets with which messages are signed now."""
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    return [secret for secret, until in endpoint.secrets.items() if now < until]


def attempted(
    event_id: str, kind: str, number: int, attempt: int, answer: Answer, outcome: Verdict
) -> Delivery:
    """Return an attempt that was just made, as it is kept."""
    ended = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    return Delivery(
        event_id=event_id,
        event_type=kind,
        number=number,
        attempt=attempt,
        at=ended,
        duration_ms=answer.duration_ms,
        outcome=str(outcome),
        status=answer.status,
        answer=answer.text,
    )
