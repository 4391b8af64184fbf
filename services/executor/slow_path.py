"""POST what could not leave at once, and go on with what was not accepted.

Before it: `sender`, which sends what can leave at once. A post waits here for the gates, the
breaker, a connection or a pause, until it is accepted, refused for good, unanswered or too late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from services.executor import answers
from services.executor.breaker import CircuitBreaker
from services.executor.core.post_states import PostEvent, PostState
from services.executor.core.retry_delay import PAUSE_MS, next_try_ms
from services.executor.post import Post
from services.executor.pre_send_check import PreSendCheck, Withheld
from tradingtools.domain.order import Purpose
from tradingtools.venues.insiders.order_gateway import (
    Answer,
    ConnectionGone,
    InsidersClient,
    NotSent,
    Unanswered,
)
from tradingtools.venues.ports import NOT_SENT, Meaning, Verdict

_log = structlog.get_logger("executor.sender")
_MAX_PAUSE_MS = 500

Judged = tuple[Verdict, Answer | None]


class _Permit:
    """The permission to send, while a post waits."""

    __slots__ = ("pause_ms", "probe", "until_ns")

    def __init__(self, probe: int, until_ns: int) -> None:
        self.probe = probe
        """Not 0: the breaker lets it out although it is not closed."""
        self.until_ns = until_ns
        """The gates were checked and hold so long, `monotonic_ns`."""
        self.pause_ms = PAUSE_MS
        """Before the next try, where the breaker or a connection is waited for."""


class SlowPath:
    """Sends posts that have to wait.

    Args:
        client: of insiders-api.
        breaker: of insiders-api.
        pre_send: consulted before first bytes.
        timeout_ms: an answer that takes longer counts as none.
    """

    def __init__(
        self,
        client: InsidersClient,
        breaker: CircuitBreaker,
        pre_send: PreSendCheck,
        timeout_ms: int,
    ) -> None:
        self._client = client
        self._breaker = breaker
        self._pre_send = pre_send
        self._timeout_ms = timeout_ms
        self._reports: set[asyncio.Task[None]] = set()

    async def run(self, post: Post, sent: Awaitable[Answer] | None) -> Judged:
        """POST until something may be concluded; only what provably was not taken goes again.

        Args:
            post: HELD, or POSTING when it was sent already.
            sent: the answer to come of one that was.
        """
        attempt = post.attempt
        permit = _Permit(attempt.probe, self._pre_send.valid_until_ns(attempt))
        verdict: Verdict = NOT_SENT
        try:
            while sent is not None or post.time_left_ms() > 0:
                answer: Answer | None = None
                try:
                    if sent is None:
                        verdict, answer = await self._post_if_allowed(post, permit)
                    else:
                        verdict, answer = await self._exchange(post, sent, permit)
                except Withheld as kept:
                    verdict = kept.verdict
                sent = None
                if verdict.meaning is not Meaning.NOT_ACCEPTED:
                    self._return_probe(permit)
                    return verdict, answer
                if post.state is PostState.POSTING:
                    post.move(PostEvent.NOT_ACCEPTED)
                if not await self._pause(post, verdict, permit):
                    break
            self._return_probe(permit)
            return verdict, None
        finally:
            # Whatever has ended it; `watch` gives back probes that were not reported.
            self._breaker.probe_ended(permit.probe)

    async def _post_if_allowed(self, post: Post, permit: _Permit) -> Judged:
        """POST if the gates and the breaker let it; raise Withheld if the gates do not."""
        attempt = post.attempt
        # Before it has a connection, so that none waits for it here.
        permit.until_ns = await self._pre_send.recheck(attempt, permit.until_ns)
        promised_until_ns = await self._pre_send.promised_until_ns(attempt)
        permit.probe = await self._probe_if_allowed(post, permit.probe)
        if not self._breaker.allows(permit.probe):
            return NOT_SENT, None
        ready = partial(
            self._pre_send.ready, attempt, permit.until_ns, promised_until_ns, probe=permit.probe
        )
        # From here on a byte may leave.
        post.move(PostEvent.POSTED)
        order = attempt.order
        sent = self._client.submit(
            order.side.lower(),
            order.order_key,
            order.body.encode(),
            self._timeout_ms,
            ready,
            leave_ms=post.time_left_ms(),
        )
        return await self._exchange(post, sent, permit)

    async def _exchange(self, post: Post, sent: Awaitable[Answer], permit: _Permit) -> Judged:
        """Await an answer, judge it and tell the breaker. Raises Withheld."""
        order, status, answer = post.attempt.order, None, None
        try:
            answer = await sent
        except ConnectionGone as error:
            raise Withheld(NOT_SENT) from error
        except NotSent as error:
            _log.warning("insiders-api unreachable", error=str(error))
            verdict: Verdict = NOT_SENT
        except Unanswered as error:
            _log.warning("no answer", order=order.order_key, error=str(error))
            verdict = Verdict(
                meaning=Meaning.UNKNOWN, code="NO_ANSWER", first_byte_ns=error.first_byte_ns or None
            )
        else:
            verdict, status = answers.judge(order, answer), answer.status
        await self._report(post, status, verdict, probe=permit.probe)
        permit.probe = permit.until_ns = 0
        return verdict, answer

    async def _pause(self, post: Post, verdict: Verdict, permit: _Permit) -> bool:
        """Wait until it may be sent again; return False when it never may."""
        left_ms = post.time_left_ms()
        if verdict.code == "NOT_SENT":
            seconds = min(permit.pause_ms, max(left_ms, 0)) / 1000
            exits = post.attempt.order.purpose is not Purpose.ENTRY
            await self._breaker.pause(seconds, probes=exits)
            permit.pause_ms = min(2 * permit.pause_ms, _MAX_PAUSE_MS)
            return True
        wait_ms = next_try_ms(verdict, left_ms)
        if wait_ms is None:
            return False
        await asyncio.sleep(wait_ms / 1000)
        return True

    def _return_probe(self, permit: _Permit) -> None:
        """Begin to give back a probe that was not used; the outcome does not wait for it."""
        if permit.probe:
            self._in_background(self._breaker.give_back(permit.probe))
            permit.probe = 0

    async def _probe_if_allowed(self, post: Post, probe: int) -> int:
        """Return the post's probe, or take one for an exit: on a quiet night nobody else comes.

        Entries leave it to those that are new: whoever waits is likely to be too late.
        """
        if self._breaker.allows(probe):
            return probe
        # Nothing will be reported of one that another has followed.
        self._breaker.probe_ended(probe)
        if post.attempt.order.purpose is Purpose.ENTRY:
            return 0
        with suppress(TimeoutError):
            async with asyncio.timeout(post.time_left_ms() / 1000):
                return await self._breaker.take_probe()
        return 0

    async def _report(
        self, post: Post, status: int | None, verdict: Verdict, *, probe: int
    ) -> None:
        """Tell the breaker how a POST has ended.

        What is over is recorded without waiting for the breaker's row; who may be sent again waits
        within its time to see whether the breaker has opened.
        """
        report = self._in_background(self._breaker.report(status, probe=probe))
        if verdict.meaning is Meaning.NOT_ACCEPTED:
            await asyncio.wait([report], timeout=post.time_left_ms() / 1000)

    def _in_background(self, report: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(report)
        self._reports.add(task)
        task.add_done_callback(self._on_reported)
        return task

    def _on_reported(self, task: asyncio.Task[None]) -> None:
        self._reports.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("not reported to the breaker", exc_info=error)
