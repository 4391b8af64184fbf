"""POST orders that are durably SUBMITTING, and give each outcome to the recorder.

Entries of a wallet are sent one after the other (see `Attempt.lane`), everything else at once. All
first bytes that can leave do so before anything else: no task, timer or state change comes before
them, nor does the processing of answers. Answers are processed a few at a time, so that new orders
come in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from services.executor.breaker import CircuitBreaker
from services.executor.core.attempt import Attempt
from services.executor.core.breaker import is_failure
from services.executor.core.conclusion import conclusion
from services.executor.core.retry_delay import PAUSE_MS, next_try_ms
from services.executor.pre_send_check import KeptBack, Leave
from services.executor.recorder import Outcome
from tradingtools import clock
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.order_states import OrderState
from tradingtools.runtime import instruments, telemetry
from tradingtools.venues.insiders.order_gateway import (
    Answer,
    Gone,
    InsidersClient,
    NotSent,
    Ready,
    Unanswered,
)
from tradingtools.venues.insiders.schemas import DEFINITIVE_REJECTIONS
from tradingtools.venues.insiders.verdicts import classify
from tradingtools.venues.ports import NOT_SENT, Meaning, Verdict

_log = structlog.get_logger("executor.sender")
_answers = instruments.counter(
    "tradingtools.executor",
    "answers",
    "by meaning and code",
    [
        {"meaning": Meaning.ACCEPTED.name, "code": ""},
        {"meaning": Meaning.NOT_ACCEPTED.name, "code": "RATE_LIMITED"},
        *instruments.each(meaning=(Meaning.REJECTED.name,), code=sorted(DEFINITIVE_REJECTIONS)),
    ],
)

_PAUSE_LONGEST_MS = 500
_STORING_MS = 2_000
"""Before the end of a lease, to have stored that nothing was sent."""
_BEGUN_TOGETHER = 25
"""First bytes in one turn of the event loop while somebody waits: about a millisecond."""
_JUDGED_TOGETHER = 8
"""Answers in one turn of the event loop: half a millisecond."""


class Sender:
    """Sends attempts.

    Args:
        client: of insiders-api.
        breaker: of insiders-api.
        leave: asked before first bytes.
        timeout_ms: an answer that takes longer counts as none.
        lease_ms: of an attempt; whoever has not left when it is nearly over is not sent.
        record: told each outcome.
        died: told each order of which there will be none, because an exception ended its attempt.
        hurried: whether somebody waits to be sent who comes after these.
    """

    def __init__(
        self,
        client: InsidersClient,
        breaker: CircuitBreaker,
        leave: Leave,
        timeout_ms: int,
        lease_ms: int,
        record: Callable[[Outcome], None],
        died: Callable[[str], None],
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._breaker = breaker
        self._timeout_ms = timeout_ms
        self._wait_ms = lease_ms - _STORING_MS
        self._record = record
        self._died = died
        self._hurried = hurried
        self._leave = leave
        self._ready: deque[deque[Attempt]] = deque()
        """What may leave, by commit; the smallest rest first."""
        self._lanes: dict[str, deque[Attempt]] = {}
        """Who waits in each lane that somebody is in."""
        self._answered: deque[tuple[Attempt, asyncio.Future[Answer], bool]] = deque()
        """What is to be judged, and whether its lane was left already."""
        self._running: set[asyncio.Task[None]] = set()
        self._telling: set[asyncio.Task[None]] = set()

    def waited_ms(self) -> int:
        """Return how long the oldest has waited behind another one of its wallet."""
        since_ns = min((lane[0].looked_ns for lane in self._lanes.values() if lane), default=None)
        return 0 if since_ns is None else (clock.monotonic_ns() - since_ns) // 1_000_000

    def send(self, attempts: Sequence[Attempt]) -> None:
        """Send them, without waiting for what comes of it.

        Their first bytes leave before anything else is done; while somebody waits, some at a time,
        and those of a smaller commit first.
        """
        free: deque[Attempt] = deque()
        for attempt in attempts:
            waiting = self._lanes.get(attempt.lane)
            if waiting is None:
                self._lanes[attempt.lane] = deque()
                free.append(attempt)
            else:
                waiting.append(attempt)
                self._wait_no_longer_than_its_time(attempt)
        if not free:
            return
        under_way = bool(self._ready)
        place = sum(len(others) <= len(free) for others in self._ready)
        self._ready.insert(place, free)
        if place == 0:
            self._begin_some()
        if self._ready and not under_way:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _left_ms(self, attempt: Attempt) -> int:
        """Until it may leave no more: its time is over, or nearly its lease.

        After its lease nobody could tell any more that it was never sent.
        """
        waited_ms = (clock.monotonic_ns() - attempt.looked_ns) // 1_000_000
        return min(attempt.order.not_after_ms - clock.now_ms(), self._wait_ms - waited_ms)

    def _wait_no_longer_than_its_time(self, attempt: Attempt) -> None:
        seconds = self._left_ms(attempt) / 1000
        asyncio.get_running_loop().call_later(seconds, self._wait_no_more, attempt)

    def _wait_no_more(self, attempt: Attempt) -> None:
        waiting = self._lanes.get(attempt.lane)
        if waiting is None or attempt not in waiting:
            return  # It has left.
        waiting.remove(attempt)
        try:
            self._conclude(attempt, NOT_SENT, None)
        except Exception as error:  # noqa: BLE001 - it has to be told in any case
            self._give_up(attempt, error)

    def _go_on(self) -> None:
        try:
            self._begin_some()
        finally:
            if self._ready:
                asyncio.get_running_loop().call_soon(self._go_on)

    def _begin_some(self) -> None:
        """Begin the smallest; all of what is ready when nobody waits."""
        while self._ready:
            first = self._ready[0]
            for _ in range(min(_BEGUN_TOGETHER, len(first))):
                self._begin(first.popleft())
            if not first:
                self._ready.popleft()
            if self._hurried():
                return

    def _begin(self, attempt: Attempt) -> None:
        try:
            sent = self._sent(attempt)
        except Exception as error:  # noqa: BLE001 - one order must not hold up its lane or a commit
            self._give_up(attempt, error)
            # Not at once: a lane in which all die would be a deep stack.
            asyncio.get_running_loop().call_soon(self._leave_lane, attempt.lane)
            return
        if sent is None:
            self._see_through(attempt)
        else:
            sent.add_done_callback(partial(self._end, attempt))

    def _sent(self, attempt: Attempt) -> asyncio.Future[Answer] | None:
        """The answer to come; None: it cannot leave at once."""
        order = attempt.order
        if not self._leave.at_once(attempt):
            return None
        return self._client.begin(
            order.side.lower(), order.order_key, order.body.encode(), self._timeout_ms
        )

    def _end(self, attempt: Attempt, sent: asyncio.Future[Answer]) -> None:
        if sent.cancelled():
            return  # The process ends.
        # One that has its answer is over, whatever its judging says of it.
        over = len(self._answered) < _JUDGED_TOGETHER and _concludes(sent)
        self._answered.append((attempt, sent, over))
        if len(self._answered) == 1:
            sent.get_loop().call_soon(self._judge_some)
        if over:
            self._leave_lane(attempt.lane)

    def _judge_some(self) -> None:
        count = min(_JUDGED_TOGETHER, len(self._answered))
        some = [self._answered.popleft() for _ in range(count)]
        if self._answered:
            asyncio.get_running_loop().call_soon(self._judge_some)
        for attempt, sent, over in some:
            if not _concludes(sent):
                self._see_through(attempt, sent)
                continue
            if not over:
                self._leave_lane(attempt.lane)
            try:
                answer = sent.result()
                self._breaker.passed()
                self._conclude(attempt, self._judge(attempt.order, answer), answer)
            except Exception as error:  # noqa: BLE001 - one answer must not hold up the others
                self._give_up(attempt, error)

    def _see_through(self, attempt: Attempt, sent: asyncio.Future[Answer] | None = None) -> None:
        """In a task of its own: what waits for a connection, a pause or the breaker."""
        task = asyncio.create_task(self._whole(attempt, sent))
        self._running.add(task)
        task.add_done_callback(partial(self._left, attempt))

    def _left(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return  # The process ends.
        error = task.exception()
        if error is not None:
            self._give_up(attempt, error)
        self._leave_lane(attempt.lane)

    def _give_up(self, attempt: Attempt, error: BaseException) -> None:
        _log.error("an attempt died; its order becomes UNKNOWN", exc_info=error)
        self._died(attempt.order.order_key)

    def _leave_lane(self, lane: str) -> None:
        waiting = self._lanes[lane]
        if waiting:
            self._begin(waiting.popleft())
        else:
            del self._lanes[lane]

    async def _whole(self, attempt: Attempt, sent: asyncio.Future[Answer] | None) -> None:
        self._conclude(attempt, *await self._submit(attempt, sent))

    def _conclude(self, attempt: Attempt, verdict: Verdict, answer: Answer | None) -> None:
        trace = attempt.origin.traceparent
        if answer is not None:
            trace = telemetry.past_span(
                "executor.submit", trace, answer.first_byte_ns, answer.answered_ns,
                order=attempt.order.order_key,
            )  # fmt: skip
        self._record(_outcome(attempt, verdict, answer, trace))

    async def _submit(
        self, attempt: Attempt, sent: asyncio.Future[Answer] | None
    ) -> tuple[Verdict, Answer | None]:
        """POST until something may be concluded; only what provably was not taken goes again."""
        verdict, probe = NOT_SENT, attempt.probe
        until_ns = self._leave.known_until(attempt)
        pause_ms = PAUSE_MS
        try:
            while sent is not None or self._left_ms(attempt) > 0:
                try:
                    if sent is None:
                        # Before it has a connection, so that none waits for it here.
                        until_ns = await self._leave.look(attempt, until_ns)
                        probe = await self._may_probe(attempt, probe)
                    if sent is not None or self._breaker.lets(probe):
                        ready = partial(self._leave.ready, attempt, until_ns, probe=probe)
                        verdict, answer = await self._post(attempt, sent, ready, probe=probe)
                        sent, probe, until_ns = None, 0, 0
                        if verdict.meaning is not Meaning.NOT_ACCEPTED:
                            return verdict, answer
                    else:
                        verdict = NOT_SENT
                except KeptBack as kept:
                    verdict = kept.verdict
                    if verdict.meaning is not Meaning.NOT_ACCEPTED:
                        break
                left_ms = self._left_ms(attempt)
                if verdict.code == "NOT_SENT":
                    seconds = min(pause_ms, max(left_ms, 0)) / 1000
                    exits = attempt.order.purpose is not Purpose.ENTRY
                    await self._breaker.pause(seconds, probes=exits)
                    pause_ms = min(2 * pause_ms, _PAUSE_LONGEST_MS)
                    continue
                wait_ms = next_try_ms(verdict, left_ms)
                if wait_ms is None:
                    break
                await asyncio.sleep(wait_ms / 1000)
            if probe:
                self._aside(self._breaker.give_back(probe))
                probe = 0
            return verdict, None
        finally:
            # Whatever has ended it; `watch` gives back what has not been told of.
            self._breaker.probe_ended(probe)

    async def _may_probe(self, attempt: Attempt, probe: int) -> int:
        """The probe that it is, or that an exit becomes: nobody else may come on a quiet night.

        Entries leave it to those that are new: whoever waits is likely to be too late.
        """
        if self._breaker.lets(probe):
            return probe
        # Nothing will be told of one that another has followed.
        self._breaker.probe_ended(probe)
        if attempt.order.purpose is Purpose.ENTRY:
            return 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self._left_ms(attempt) / 1000):
                return await self._breaker.take_probe()
        return 0

    async def _tell(
        self, attempt: Attempt, status: int | None, verdict: Verdict, *, probe: int
    ) -> None:
        """Tell the breaker how a POST has ended.

        What is over is recorded without waiting for the breaker's row; who may be sent again waits
        within its time to see whether the breaker has opened.
        """
        telling = self._aside(self._breaker.told(status, probe=probe))
        if verdict.meaning is Meaning.NOT_ACCEPTED:
            await asyncio.wait([telling], timeout=self._left_ms(attempt) / 1000)

    def _aside(self, telling: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(telling)
        self._telling.add(task)
        task.add_done_callback(self._told)
        return task

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the breaker was not told", exc_info=error)

    async def _post(
        self, attempt: Attempt, sent: Awaitable[Answer] | None, ready: Ready, *, probe: int
    ) -> tuple[Verdict, Answer | None]:
        """POST, unless that was ``sent`` already, and judge what comes back. Raises KeptBack."""
        order = attempt.order
        try:
            answer = await (
                sent
                or self._client.submit(
                    order.side.lower(),
                    order.order_key,
                    order.body.encode(),
                    self._timeout_ms,
                    ready,
                    leave_ms=self._left_ms(attempt),
                )
            )
        except Gone as error:
            raise KeptBack(NOT_SENT) from error
        except NotSent as error:
            _log.warning("insiders-api unreachable", error=str(error))
            await self._tell(attempt, None, NOT_SENT, probe=probe)
            return NOT_SENT, None
        except Unanswered as error:
            _log.warning("no answer", order=order.order_key, error=str(error))
            verdict = Verdict(
                meaning=Meaning.UNKNOWN, code="NO_ANSWER", first_byte_ns=error.first_byte_ns or None
            )
            await self._tell(attempt, None, verdict, probe=probe)
            return verdict, None
        verdict = self._judge(order, answer)
        await self._tell(attempt, answer.status, verdict, probe=probe)
        return verdict, answer

    def _judge(self, order: Order, answer: Answer) -> Verdict:
        verdict = classify(answer.status, answer.body, order.order_key)
        _answers.add(1, {"meaning": verdict.meaning.name, "code": verdict.code})
        return verdict


def _concludes(sent: asyncio.Future[Answer]) -> bool:
    """Whether nothing of it has to be waited for any more, as of nearly every answer."""
    return sent.exception() is None and not is_failure(sent.result().status)


def _text(body: bytes) -> str:
    """An answer as the audit keeps it; PostgreSQL has no NUL in text."""
    return body.decode(errors="replace").replace("\x00", "\ufffd")[:20_000]


def _outcome(attempt: Attempt, verdict: Verdict, answer: Answer | None, trace: str) -> Outcome:
    seen: dict[str, Any] = {
        "order_key": attempt.order.order_key,
        "from_state": OrderState.SUBMITTING,
        "expected_epoch": attempt.epoch,
        "detail": _text(answer.body) if answer else None,
        "first_byte_ns": answer.first_byte_ns if answer else verdict.first_byte_ns,
        "answered_ns": answer.answered_ns if answer else None,
    }
    fields = seen | conclusion(verdict, number=attempt.number)
    return Outcome(fields=fields, traceparent=trace, attempt=attempt if answer else None)
