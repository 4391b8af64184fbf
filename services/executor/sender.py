"""POST orders that are durably SUBMITTING, and give each outcome to the recorder.

Each step of a post is a transition of `core/post_states`, which refuses what may not happen: a byte
leaves only from READY or HELD, and a post ends once. Entries of a wallet are sent one after the
other (see `Attempt.lane`), everything else at once. All first bytes that can leave do so before
anything else: no task, timer or state of the database comes before them, nor does the processing of
answers. Answers are processed a few at a time, so that new orders come in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from services.executor import answers
from services.executor.breaker import CircuitBreaker
from services.executor.core.attempt import Attempt
from services.executor.core.breaker import is_failure
from services.executor.core.post_states import IllegalTransition, PostEvent, PostState
from services.executor.post import Post
from services.executor.pre_send_check import PreSendCheck
from services.executor.recorder import Outcome
from services.executor.slow_path import SlowPath
from tradingtools import clock
from tradingtools.runtime import telemetry
from tradingtools.venues.insiders.order_gateway import Answer, InsidersClient
from tradingtools.venues.ports import NOT_SENT, Verdict

_log = structlog.get_logger("executor.sender")
_STORE_MARGIN_MS = 2_000
"""Before the end of a lease, to have stored that nothing was sent."""
_SENT_PER_TURN = 25
"""First bytes in one turn of the event loop while somebody waits: about a millisecond."""
_PROCESSED_PER_TURN = 8
"""Answers in one turn of the event loop: half a millisecond."""
# Looked up once: on the way to a first byte each member of an enum would cost as much as its use.
_LANE_FREE, _LANE_BUSY = PostEvent.LANE_FREE, PostEvent.LANE_BUSY
_SENT_AT_ONCE, _ANSWERED = PostEvent.SENT_AT_ONCE, PostEvent.ANSWERED
_CONCLUDED = PostEvent.CONCLUDED


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
        self._slow_path = SlowPath(client, breaker, pre_send, timeout_ms)
        self._ready: deque[deque[Post]] = deque()
        """Posts to be sent, by commit; the smallest rest first."""
        self._lanes: dict[str, deque[Post]] = {}
        """Posts that wait, by occupied lane."""
        self._answers: deque[tuple[Post, asyncio.Future[Answer]]] = deque()
        """Answers to be processed."""
        self._running: set[asyncio.Task[None]] = set()

    def waited_ms(self) -> int:
        """Return how long the oldest has waited behind another one of its wallet."""
        since_ns = min(
            (lane[0].attempt.gates_checked_ns for lane in self._lanes.values() if lane),
            default=None,
        )
        return 0 if since_ns is None else (clock.monotonic_ns() - since_ns) // 1_000_000

    def send(self, attempts: Sequence[Attempt]) -> None:
        """Send them, without waiting for what comes of it.

        Their first bytes leave before anything else is done; while somebody waits, some at a time,
        and those of a smaller commit first.
        """
        free: deque[Post] = deque()
        for attempt in attempts:
            post = Post(attempt, self._wait_ms)
            waiting = self._lanes.get(post.lane)
            if waiting is None:
                self._lanes[post.lane] = deque()
                post.move(_LANE_FREE)
                free.append(post)
            else:
                post.move(_LANE_BUSY)
                waiting.append(post)
                seconds = post.time_left_ms() / 1000
                asyncio.get_running_loop().call_later(seconds, self._expire, post)
        if not free:
            return
        under_way = bool(self._ready)
        place = sum(len(others) <= len(free) for others in self._ready)
        self._ready.insert(place, free)
        if place == 0:
            self._send_ready()
        if self._ready and not under_way:
            asyncio.get_running_loop().call_soon(self._send_rest)

    def _expire(self, post: Post) -> None:
        if post.state is not PostState.WAITING:
            return  # It has left.
        self._lanes[post.lane].remove(post)
        try:
            self._conclude(post, NOT_SENT, None)
        except Exception as error:  # noqa: BLE001 - it has to be reported in any case
            self._give_up(post, error)

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

    def _send_first_bytes(self, post: Post) -> None:
        try:
            sent = self._try_send(post)
        except Exception as error:  # noqa: BLE001 - one order must not hold up its lane or a commit
            self._give_up(post, error)
            # Not at once: a lane in which all die would be a deep stack.
            asyncio.get_running_loop().call_soon(self._release_lane, post)
            return
        if sent is None:
            post.move(PostEvent.HELD_UP)
            self._start_slow_path(post, None)
        else:
            post.move(_SENT_AT_ONCE)
            sent.add_done_callback(partial(self._on_answer, post))

    def _try_send(self, post: Post) -> asyncio.Future[Answer] | None:
        """Send now and return the future answer; return None if it cannot be sent at once."""
        post.check(_SENT_AT_ONCE)
        attempt = post.attempt
        if not self._pre_send.allows_now(attempt):
            return None
        order = attempt.order
        return self._client.begin(
            order.side.lower(), order.order_key, order.body.encode(), self._timeout_ms
        )

    def _on_answer(self, post: Post, sent: asyncio.Future[Answer]) -> None:
        if sent.cancelled():
            return  # The process ends.
        post.move(_ANSWERED)
        self._answers.append((post, sent))
        if len(self._answers) == 1:
            sent.get_loop().call_soon(self._process_answers)
        # A post with a final answer is over, whatever the verdict.
        if len(self._answers) <= _PROCESSED_PER_TURN and _is_final(sent):
            self._release_lane(post)

    def _process_answers(self) -> None:
        count = min(_PROCESSED_PER_TURN, len(self._answers))
        some = [self._answers.popleft() for _ in range(count)]
        if self._answers:
            asyncio.get_running_loop().call_soon(self._process_answers)
        for post, sent in some:
            if not post.released and not _is_final(sent):
                post.move(PostEvent.NOT_FINAL)
                self._start_slow_path(post, sent)
                continue
            self._release_lane(post)
            try:
                answer = sent.result()
                self._breaker.report_success()
                self._conclude(post, answers.judge(post.attempt.order, answer), answer)
            except Exception as error:  # noqa: BLE001 - one answer must not hold up the others
                self._give_up(post, error)

    def _start_slow_path(self, post: Post, sent: asyncio.Future[Answer] | None) -> None:
        """Continue in a task: wait for a connection, a pause or the breaker, and send."""
        task = asyncio.create_task(self._run_slow_path(post, sent))
        self._running.add(task)
        task.add_done_callback(partial(self._on_task_done, post))

    async def _run_slow_path(self, post: Post, sent: asyncio.Future[Answer] | None) -> None:
        self._conclude(post, *await self._slow_path.run(post, sent))

    def _on_task_done(self, post: Post, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return  # The process ends.
        error = task.exception()
        if error is not None:
            self._give_up(post, error)
        self._release_lane(post)

    def _release_lane(self, post: Post) -> None:
        """Send the next of its lane, once."""
        if post.released:
            return
        post.released = True
        waiting = self._lanes[post.lane]
        if waiting:
            following = waiting.popleft()
            following.move(_LANE_FREE)
            self._send_first_bytes(following)
        else:
            del self._lanes[post.lane]

    def _conclude(self, post: Post, verdict: Verdict, answer: Answer | None) -> None:
        post.check(_CONCLUDED)
        attempt = post.attempt
        trace = attempt.origin.traceparent
        if answer is not None:
            trace = telemetry.record_span(
                "executor.submit", trace, answer.first_byte_ns, answer.answered_ns,
                order=attempt.order.order_key,
            )  # fmt: skip
        self._record(answers.outcome_of(attempt, verdict, answer, trace))
        post.move(_CONCLUDED)

    def _give_up(self, post: Post, error: BaseException) -> None:
        """Abandon a post; one that has ended, or is under way, ends as it would have."""
        _log.error("an attempt died; its order becomes UNKNOWN", exc_info=error)
        try:
            post.move(PostEvent.FAILED)
        except IllegalTransition:
            return
        self._abandoned(post.attempt.order.order_key)


def _is_final(sent: asyncio.Future[Answer]) -> bool:
    """Return whether an answer can be concluded without a wait, as nearly every one can."""
    return sent.exception() is None and not is_failure(sent.result().status)
