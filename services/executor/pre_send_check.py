"""Decide directly before the first byte whether an attempt may be sent.

SUBMITTING was committed under the gates of its moment. This checks the order's time, the circuit
breaker and, through `gate_recheck`, the gates again if that moment is too long ago. A further
attempt is sent only by an answer of this moment that one key is one order (`promise_check`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from services.executor.breaker import CircuitBreaker
from services.executor.core.attempt import Attempt
from services.executor.core.conclusion import held_back
from services.executor.core.promise import Promise
from services.executor.gate_recheck import RecheckResult
from services.executor.promise_check import PromiseCheck
from tradingtools import clock
from tradingtools.domain.order import Order, Purpose
from tradingtools.venues.ports import NOT_SENT, Meaning, Verdict

_log = structlog.get_logger("executor.leave")
_FRESH_NS = 200_000_000
"""So long a check of the gates holds; after a longer wait they are checked again."""
_FOREVER_NS = 2**63
_POLL_SECONDS = 1.0
"""A check allows nothing that is sent so long after its query."""
_EXIT_POLL_SECONDS = 3.0
"""The same for an exit: late is better than never, while PostgreSQL is that slow."""


class Withheld(Exception):
    """The attempt is not sent; the verdict says whether it may be later."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.code)
        self.verdict = verdict


class PreSendCheck:
    """Checks attempts before their first bytes.

    Args:
        breaker: of insiders-api.
        promise: asked before further attempts.
        poll: checks again whether an order may be sent.
    """

    def __init__(
        self,
        breaker: CircuitBreaker,
        promise: PromiseCheck,
        poll: Callable[[Order, int], Awaitable[RecheckResult]],
    ) -> None:
        self._breaker = breaker
        self._promise = promise
        self._recheck_gates = poll

    def allows_now(self, attempt: Attempt) -> bool:
        """Return whether an attempt may be sent without a query; a probe or a further attempt
        never may."""
        # In full: this is before the first byte of every order.
        return (
            self._breaker.closed
            and not attempt.probe
            and attempt.number == 1
            and clock.now_ms() < attempt.order.not_after_ms
            and clock.monotonic_ns() - attempt.gates_checked_ns <= _FRESH_NS
        )

    def valid_until_ns(self, attempt: Attempt) -> int:
        """Return until when the gates of the SUBMITTING commit hold, `monotonic_ns`."""
        return attempt.gates_checked_ns + _FRESH_NS

    async def recheck(self, attempt: Attempt, until_ns: int) -> int:
        """Check the gates again if the last check is too old; return until when it is valid.

        For 200 ms, while it gets a connection; but no longer than a look may take: what is known
        is as old as the question.

        Args:
            attempt: that is about to leave.
            until_ns: the last check is valid, `monotonic_ns`, as what is returned.

        Raises:
            Withheld: for good, a halt was acknowledged meanwhile, above all; or nobody can tell in
                this moment.
        """
        if clock.monotonic_ns() <= until_ns:
            return until_ns
        entry = attempt.order.purpose is Purpose.ENTRY
        seconds = _POLL_SECONDS if entry else _EXIT_POLL_SECONDS
        try:
            # It may wait for another check first.
            async with asyncio.timeout(2 * seconds):
                held, requested_ns = await self._recheck_gates(attempt.order, attempt.epoch)
        except (TimeoutError, psycopg.OperationalError) as error:
            raise _unverifiable(str(error) or "no answer") from error
        if held:
            raise Withheld(held_back(held))
        answered_ns, too_old_ns = clock.monotonic_ns(), requested_ns + round(seconds * 1e9)
        if answered_ns > too_old_ns:
            raise _unverifiable("a late answer")
        return min(answered_ns + _FRESH_NS, too_old_ns)

    async def promised_until_ns(self, attempt: Attempt) -> int:
        """Ask whether one key is still one order, if the attempt is not its order's first.

        Returns:
            Until when the attempt may leave by it, `monotonic_ns`.

        Raises:
            Withheld: for good, the promise is withdrawn; or nobody tells in this moment.
        """
        if attempt.number == 1:
            return _FOREVER_NS
        promise = await self._promise.now()
        state = promise.judge(by_settings=attempt.by_settings)
        if state is Promise.WITHDRAWN:
            _log.warning("not sent again: the promise is withdrawn", order=attempt.order.order_key)
            raise Withheld(Verdict(meaning=Meaning.HELD_BACK, code="PROMISE_WITHDRAWN"))
        if state is Promise.NOT_REPORTED:
            raise _unverifiable("insiders-api does not say what it promises")
        return promise.until_ns

    async def ready(
        self, attempt: Attempt, until_ns: int, promised_until_ns: int, *, probe: int
    ) -> None:
        """Allow the attempt to be sent, now that there is a connection.

        Args:
            attempt: that is about to.
            until_ns: the last check is valid, `monotonic_ns`.
            promised_until_ns: one key is one order, `monotonic_ns`.
            probe: not 0: while it is the newest, the breaker lets it out although it is not closed.

        Raises:
            Withheld: it may not, for good or in this moment.
        """
        await self.recheck(attempt, until_ns)
        if (
            not self._breaker.allows(probe)
            or clock.now_ms() >= attempt.order.not_after_ms
            or clock.monotonic_ns() > promised_until_ns
        ):
            raise Withheld(NOT_SENT)


def _unverifiable(why: str) -> Withheld:
    _log.warning("not sent: nobody can tell whether it may leave", error=why)
    return Withheld(NOT_SENT)
