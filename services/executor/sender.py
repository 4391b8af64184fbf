"""POSTs what is durable as SUBMITTING, and tells the recorder what came of it.

Before it: the worker's SUBMITTING commit, first or again. Entries of a wallet leave one after the
other, everything else at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import structlog
from opentelemetry import metrics

from services.executor.breaker import CircuitBreaker
from services.executor.core.classify import PAUSE_MS, Meaning, Verdict, classify, next_try_ms
from services.executor.recorder import Outcome, Recorder
from tradingtools.adapters import clock
from tradingtools.adapters.insiders.client import Answer, InsidersClient, NotSent, Unanswered
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.runtime import telemetry

_log = structlog.get_logger("executor.sender")
_meter = metrics.get_meter("tradingtools.executor")
_answers = _meter.create_counter("answers", description="by meaning and code")
_submit_ms = _meter.create_histogram("submit_ms", unit="ms", description="POST round trip")

_PAUSE_LONGEST_MS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a SUBMITTING commit allows to be sent: which attempt, and at which epoch of the row."""

    order: Order
    epoch: int = 1
    number: int = 1
    probe: bool = False
    """The one request that a circuit breaker lets out."""
    traceparent: str = ""

    @property
    def lane(self) -> str:
        """Who waits for whom: entries of a wallet keep their order.

        An exit waits for nobody, its shares are reserved; nor does what is late already.
        """
        waits = self.order.purpose is Purpose.ENTRY and self.number == 1
        return self.order.follower.proxy if waits else self.order.order_key


class Sender:
    """Sends attempts.

    Args:
        client: of insiders-api.
        breaker: of insiders-api.
        timeout_ms: an answer that takes longer counts as none.
    """

    def __init__(self, client: InsidersClient, breaker: CircuitBreaker, timeout_ms: int) -> None:
        self._client = client
        self._breaker = breaker
        self._timeout_ms = timeout_ms
        # A lane lives as long as somebody is in it.
        self._lanes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._running: set[asyncio.Task[None]] = set()

    def send(self, attempts: Sequence[Attempt], recorder: Recorder) -> None:
        """Send them, without waiting for it; each outcome goes to the recorder."""
        lanes: dict[str, list[Attempt]] = {}
        for attempt in attempts:
            lanes.setdefault(attempt.lane, []).append(attempt)
        for lane, queue in lanes.items():
            task = asyncio.create_task(self._lane(lane, queue, recorder))
            self._running.add(task)
            task.add_done_callback(self._left_lane)

    def _left_lane(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a lane died; its orders become UNKNOWN", exc_info=task.exception())

    async def _lane(self, name: str, attempts: Sequence[Attempt], recorder: Recorder) -> None:
        """The orders of a lane one after the other; lanes run in parallel."""
        lock = self._lanes.setdefault(name, asyncio.Lock())
        async with lock:
            for attempt in attempts:
                order = attempt.order
                with telemetry.span(
                    "executor.submit", attempt.traceparent, order=order.order_key
                ) as trace:
                    verdict, answer = await self._submit(attempt)
                recorder.put([], [_outcome(attempt, verdict, answer, trace)])

    async def _submit(self, attempt: Attempt) -> tuple[Verdict, Answer | None]:
        """POST until something may be concluded; only what provably was not taken goes again."""
        order, probe = attempt.order, attempt.probe
        verdict = Verdict(meaning=Meaning.NOT_ACCEPTED, code="NOT_SENT")
        pause_ms = PAUSE_MS
        while clock.now_ms() < order.not_after_ms:
            if probe or self._breaker.closed:
                verdict, answer = await self._post(order, probe=probe)
                probe = False
                if verdict.meaning is not Meaning.NOT_ACCEPTED:
                    return verdict, answer
            if verdict.code == "NOT_SENT":
                wait_ms: int | None = pause_ms
                pause_ms = min(2 * pause_ms, _PAUSE_LONGEST_MS)
            else:
                wait_ms = next_try_ms(verdict, clock.now_ms(), order.not_after_ms)
            if wait_ms is None:
                break
            await asyncio.sleep(wait_ms / 1000)
        if probe:
            await self._breaker.give_back()
        return verdict, None

    async def _post(self, order: Order, *, probe: bool) -> tuple[Verdict, Answer | None]:
        try:
            answer = await self._client.submit(
                order.side.lower(), order.order_key, order.body.encode(), self._timeout_ms
            )
        except NotSent as error:
            _log.warning("insiders-api unreachable", error=str(error))
            await self._breaker.told(None, probe=probe)
            return Verdict(meaning=Meaning.NOT_ACCEPTED, code="NOT_SENT"), None
        except Unanswered as error:
            _log.warning("no answer", order=order.order_key, error=str(error))
            await self._breaker.told(None, probe=probe)
            return Verdict(meaning=Meaning.UNKNOWN, code="NO_ANSWER"), None
        await self._breaker.told(answer.status, probe=probe)
        verdict = classify(answer.status, answer.body, order.order_key)
        _answers.add(1, {"meaning": verdict.meaning.name, "code": verdict.code})
        _submit_ms.record((answer.answered_ns - answer.first_byte_ns) / 1e6)
        return verdict, answer


def _text(body: bytes) -> str:
    """An answer as the audit keeps it; PostgreSQL has no NUL in text."""
    return body.decode(errors="replace").replace("\x00", "\ufffd")[:20_000]


def _outcome(attempt: Attempt, verdict: Verdict, answer: Answer | None, trace: str) -> Outcome:
    fields: dict[str, Any] = {
        "order_key": attempt.order.order_key,
        "from_state": OrderState.SUBMITTING,
        "expected_epoch": attempt.epoch,
        "detail": _text(answer.body) if answer else None,
        "first_byte_ns": answer.first_byte_ns if answer else None,
        "answered_ns": answer.answered_ns if answer else None,
    }
    if verdict.meaning is Meaning.ACCEPTED and verdict.order is not None:
        fields |= {
            "to_state": OrderState.SUBMITTED,
            "venue_order_id": verdict.order.order_id,
            "next_check_ms": 0,
        }
    elif attempt.number > 1:
        # A refusal may be there because an earlier attempt was accepted: it proves nothing.
        fields |= _unknown(verdict)
    elif verdict.meaning is Meaning.REJECTED:
        fields |= {
            "to_state": OrderState.FAILED,
            "failed_kind": FailedKind.REJECTED,
            "reason": verdict.code,
        }
    elif verdict.meaning is Meaning.NOT_ACCEPTED:
        fields |= {
            "to_state": OrderState.FAILED,
            "failed_kind": FailedKind.UNSENT,
            "reason": Reason.EXPIRED,
        }
    else:
        fields |= _unknown(verdict)
    return Outcome(fields=fields, traceparent=trace)


def _unknown(verdict: Verdict) -> dict[str, Any]:
    return {
        "to_state": OrderState.UNKNOWN,
        "reason": Reason.UNANSWERED,
        "detail": verdict.code,
        "next_check_ms": 0,
    }
