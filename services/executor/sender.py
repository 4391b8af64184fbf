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
from services.executor.pre_send_check import PreSendCheck, Withheld
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

_MAX_PAUSE_MS = 500
_STORE_MARGIN_MS = 2_000
"""Before the end of a lease, to have stored that nothing was sent."""
_SENT_PER_TURN = 25
"""First bytes in one turn of the event loop while somebody waits: about a millisecond."""
_PROCESSED_PER_TURN = 8
"""Answers in one turn of the event loop: half a millisecond."""


class Sender:
    """Sends attempts.

    Args:
        client: of insiders-api.
        breaker: of insiders-api.
        pre_send: consulted before first bytes.
        timeout_ms: an answer that takes longer counts as none.
        lease_ms: of an attempt; an order that waits until it is nearly over is not sent.
        record: called with each outcome.
        abandoned: called with the key of an order whose attempt an exception has ended.
        should_yield: whether other orders wait to be sent.
    """

    def __init__(
        self,
        client: InsidersClient,
        breaker: CircuitBreaker,
        pre_send: PreSendCheck,
        timeout_ms: int,
        lease_ms: int,
        record: Callable[[Outcome], None],
        abandoned: Callable[[str], None],
        should_yield: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._breaker = breaker
        self._timeout_ms = timeout_ms
        self._wait_ms = lease_ms - _STORE_MARGIN_MS
        self._record = record
        self._abandoned = abandoned
        self._should_yield = should_yield
        self._pre_send = pre_send
        self._ready: deque[deque[Attempt]] = deque()
        """Attempts to be sent, by commit; the smallest rest first."""
        self._lanes: dict[str, deque[Attempt]] = {}
        """Attempts that wait, by occupied lane."""
        self._answers: deque[tuple[Attempt, asyncio.Future[Answer], bool]] = deque()
        """Answers to be processed, and whether the lane is released already."""
        self._running: set[asyncio.Task[None]] = set()
        self._reports: set[asyncio.Task[None]] = set()

    def waited_ms(self) -> int:
        """Return how long the oldest has waited behind another one of its wallet."""
        since_ns = min(
            (lane[0].gates_checked_ns for lane in self._lanes.values() if lane), default=None
        )
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
                self._expire_in_time(attempt)
        if not free:
            return
        under_way = bool(self._ready)
        place = sum(len(others) <= len(free) for others in self._ready)
        self._ready.insert(place, free)
        if place == 0:
            self._send_ready()
        if self._ready and not under_way:
            asyncio.get_running_loop().call_soon(self._send_rest)

    def _time_left_ms(self, attempt: Attempt) -> int:
        """Return how long an attempt may still be sent: until its time or nearly its lease ends.

        After its lease nobody could tell any more that it was never sent.
        """
        waited_ms = (clock.monotonic_ns() - attempt.gates_checked_ns) // 1_000_000
        return min(attempt.order.not_after_ms - clock.now_ms(), self._wait_ms - waited_ms)

    def _expire_in_time(self, attempt: Attempt) -> None:
        seconds = self._time_left_ms(attempt) / 1000
        asyncio.get_running_loop().call_later(seconds, self._expire, attempt)

    def _expire(self, attempt: Attempt) -> None:
        waiting = self._lanes.get(attempt.lane)
        if waiting is None or attempt not in waiting:
            return  # It has left.
        waiting.remove(attempt)
        try:
            self._conclude(attempt, NOT_SENT, None)
        except Exception as error:  # noqa: BLE001 - it has to be reported in any case
            self._give_up(attempt, error)

    def _send_rest(self) -> None:
        try:
            self._send_ready()
        finally:
            if self._ready:
                asyncio.get_running_loop().call_soon(self._send_rest)

    def _send_ready(self) -> None:
        """Send the smallest commit first; send all when no other order waits."""
        while self._ready:
            first = self._ready[0]
            for _ in range(min(_SENT_PER_TURN, len(first))):
                self._send_first_bytes(first.popleft())
            if not first:
                self._ready.popleft()
            if self._should_yield():
                return

    def _send_first_bytes(self, attempt: Attempt) -> None:
        try:
            sent = self._try_send(attempt)
        except Exception as error:  # noqa: BLE001 - one order must not hold up its lane or a commit
            self._give_up(attempt, error)
            # Not at once: a lane in which all die would be a deep stack.
            asyncio.get_running_loop().call_soon(self._release_lane, attempt.lane)
            return
        if sent is None:
            self._start_retrying(attempt)
        else:
            sent.add_done_callback(partial(self._on_answer, attempt))

    def _try_send(self, attempt: Attempt) -> asyncio.Future[Answer] | None:
        """Send now and return the future answer; return None if it cannot be sent at once."""
        order = attempt.order
        if not self._pre_send.allows_now(attempt):
            return None
        return self._client.begin(
            order.side.lower(), order.order_key, order.body.encode(), self._timeout_ms
        )

    def _on_answer(self, attempt: Attempt, sent: asyncio.Future[Answer]) -> None:
        if sent.cancelled():
            return  # The process ends.
        # An attempt with a final answer is over, whatever the verdict.
        over = len(self._answers) < _PROCESSED_PER_TURN and _is_final(sent)
        self._answers.append((attempt, sent, over))
        if len(self._answers) == 1:
            sent.get_loop().call_soon(self._process_answers)
        if over:
            self._release_lane(attempt.lane)

    def _process_answers(self) -> None:
        count = min(_PROCESSED_PER_TURN, len(self._answers))
        some = [self._answers.popleft() for _ in range(count)]
        if self._answers:
            asyncio.get_running_loop().call_soon(self._process_answers)
        for attempt, sent, over in some:
            if not _is_final(sent):
                self._start_retrying(attempt, sent)
                continue
            if not over:
                self._release_lane(attempt.lane)
            try:
                answer = sent.result()
                self._breaker.report_success()
                self._conclude(attempt, self._classify(attempt.order, answer), answer)
            except Exception as error:  # noqa: BLE001 - one answer must not hold up the others
                self._give_up(attempt, error)

    def _start_retrying(self, attempt: Attempt, sent: asyncio.Future[Answer] | None = None) -> None:
        """Continue in a task: wait for a connection, a pause or the breaker, and send."""
        task = asyncio.create_task(self._submit_and_conclude(attempt, sent))
        self._running.add(task)
        task.add_done_callback(partial(self._on_task_done, attempt))

    def _on_task_done(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return  # The process ends.
        error = task.exception()
        if error is not None:
            self._give_up(attempt, error)
        self._release_lane(attempt.lane)

    def _give_up(self, attempt: Attempt, error: BaseException) -> None:
        _log.error("an attempt died; its order becomes UNKNOWN", exc_info=error)
        self._abandoned(attempt.order.order_key)

    def _release_lane(self, lane: str) -> None:
        waiting = self._lanes[lane]
        if waiting:
            self._send_first_bytes(waiting.popleft())
        else:
            del self._lanes[lane]

    async def _submit_and_conclude(
        self, attempt: Attempt, sent: asyncio.Future[Answer] | None
    ) -> None:
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
        until_ns = self._pre_send.valid_until_ns(attempt)
        pause_ms = PAUSE_MS
        try:
            while sent is not None or self._time_left_ms(attempt) > 0:
                try:
                    if sent is None:
                        # Before it has a connection, so that none waits for it here.
                        until_ns = await self._pre_send.recheck(attempt, until_ns)
                        probe = await self._probe_if_allowed(attempt, probe)
                    if sent is not None or self._breaker.allows(probe):
                        ready = partial(self._pre_send.ready, attempt, until_ns, probe=probe)
                        verdict, answer = await self._post(attempt, sent, ready, probe=probe)
                        sent, probe, until_ns = None, 0, 0
                        if verdict.meaning is not Meaning.NOT_ACCEPTED:
                            return verdict, answer
                    else:
                        verdict = NOT_SENT
                except Withheld as kept:
                    verdict = kept.verdict
                    if verdict.meaning is not Meaning.NOT_ACCEPTED:
                        break
                left_ms = self._time_left_ms(attempt)
                if verdict.code == "NOT_SENT":
                    seconds = min(pause_ms, max(left_ms, 0)) / 1000
                    exits = attempt.order.purpose is not Purpose.ENTRY
                    await self._breaker.pause(seconds, probes=exits)
                    pause_ms = min(2 * pause_ms, _MAX_PAUSE_MS)
                    continue
                wait_ms = next_try_ms(verdict, left_ms)
                if wait_ms is None:
                    break
                await asyncio.sleep(wait_ms / 1000)
            if probe:
                self._in_background(self._breaker.give_back(probe))
                probe = 0
            return verdict, None
        finally:
            # Whatever has ended it; `watch` gives back probes that were not reported.
            self._breaker.probe_ended(probe)

    async def _probe_if_allowed(self, attempt: Attempt, probe: int) -> int:
        """Return the attempt's probe, or take one for an exit: on a quiet night nobody else comes.

        Entries leave it to those that are new: whoever waits is likely to be too late.
        """
        if self._breaker.allows(probe):
            return probe
        # Nothing will be reported of one that another has followed.
        self._breaker.probe_ended(probe)
        if attempt.order.purpose is Purpose.ENTRY:
            return 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self._time_left_ms(attempt) / 1000):
                return await self._breaker.take_probe()
        return 0

    async def _report(
        self, attempt: Attempt, status: int | None, verdict: Verdict, *, probe: int
    ) -> None:
        """Tell the breaker how a POST has ended.

        What is over is recorded without waiting for the breaker's row; who may be sent again waits
        within its time to see whether the breaker has opened.
        """
        telling = self._in_background(self._breaker.report(status, probe=probe))
        if verdict.meaning is Meaning.NOT_ACCEPTED:
            await asyncio.wait([telling], timeout=self._time_left_ms(attempt) / 1000)

    def _in_background(self, telling: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(telling)
        self._reports.add(task)
        task.add_done_callback(self._on_reported)
        return task

    def _on_reported(self, task: asyncio.Task[None]) -> None:
        self._reports.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("not reported to the breaker", exc_info=error)

    async def _post(
        self, attempt: Attempt, sent: Awaitable[Answer] | None, ready: Ready, *, probe: int
    ) -> tuple[Verdict, Answer | None]:
        """POST, unless that was ``sent`` already, and judge what comes back. Raises Withheld."""
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
                    leave_ms=self._time_left_ms(attempt),
                )
            )
        except Gone as error:
            raise Withheld(NOT_SENT) from error
        except NotSent as error:
            _log.warning("insiders-api unreachable", error=str(error))
            await self._report(attempt, None, NOT_SENT, probe=probe)
            return NOT_SENT, None
        except Unanswered as error:
            _log.warning("no answer", order=order.order_key, error=str(error))
            verdict = Verdict(
                meaning=Meaning.UNKNOWN, code="NO_ANSWER", first_byte_ns=error.first_byte_ns or None
            )
            await self._report(attempt, None, verdict, probe=probe)
            return verdict, None
        verdict = self._classify(order, answer)
        await self._report(attempt, answer.status, verdict, probe=probe)
        return verdict, answer

    def _classify(self, order: Order, answer: Answer) -> Verdict:
        verdict = classify(answer.status, answer.body, order.order_key)
        _answers.add(1, {"meaning": verdict.meaning.name, "code": verdict.code})
        return verdict


def _is_final(sent: asyncio.Future[Answer]) -> bool:
    """Return whether an answer can be concluded without a wait, as nearly every one can."""
    return sent.exception() is None and not is_failure(sent.result().status)


def _text(body: bytes) -> str:
    """Return an answer as the audit keeps it; PostgreSQL has no NUL in text."""
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
