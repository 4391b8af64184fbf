"""Whether an attempt may leave in this moment: its time, the breaker, and the gates once more.

SUBMITTING was committed under the gates of its moment. Before it: the sender, directly before each
first byte. After it: `look`, when that moment is a while ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from services.executor.breaker import CircuitBreaker
from services.executor.core.attempt import Attempt
from services.executor.core.classify import NOT_SENT, Verdict
from services.executor.core.conclusion import held_back
from tradingtools.adapters import clock
from tradingtools.domain.order import Order

_log = structlog.get_logger("executor.leave")
_FRESH_NS = 200_000_000
"""After its SUBMITTING; who has waited longer is looked at again before it leaves."""
_LOOK_SECONDS = 1.0
"""So long a connection waits for a look: less than it may be idle."""


class KeptBack(Exception):
    """It has not left; the verdict says whether it may later."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.code)
        self.verdict = verdict


class Leave:
    """Asked before first bytes.

    Args:
        breaker: of insiders-api.
        look: why an order that was let out at an epoch may not leave any more; empty: it may.
    """

    def __init__(
        self, breaker: CircuitBreaker, look: Callable[[Order, int], Awaitable[str]]
    ) -> None:
        self._breaker = breaker
        self._look = look

    def at_once(self, attempt: Attempt) -> bool:
        """Whether it may leave without a question; a probe never does."""
        # In full: this is before the first byte of every order.
        return (
            self._breaker.closed
            and not attempt.probe
            and clock.now_ms() < attempt.order.not_after_ms
            and clock.monotonic_ns() - attempt.looked_ns <= _FRESH_NS
        )

    async def look(self, attempt: Attempt) -> int:
        """Look at the gates; they let it out still after this instant, `monotonic_ns`.

        Raises:
            KeptBack: for good: a halt was acknowledged meanwhile, above all.
            psycopg.OperationalError: nobody can tell now.
        """
        asked_ns = clock.monotonic_ns()
        held = await self._look(attempt.order, attempt.epoch)
        if held:
            raise KeptBack(held_back(held))
        return asked_ns

    async def ready(self, attempt: Attempt, looked_ns: int, *, probe: bool) -> None:
        """Let it leave, now that there is a connection.

        Args:
            attempt: that is about to.
            looked_ns: the gates were last looked at after this instant, `monotonic_ns`.
            probe: the breaker has let it out although it is not closed.

        Raises:
            KeptBack: it may not, for good or in this moment.
        """
        if clock.monotonic_ns() - looked_ns > _FRESH_NS:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self.look(attempt)
            except (TimeoutError, psycopg.OperationalError) as error:
                _log.warning("not sent: nobody can tell whether it may leave", error=str(error))
                raise KeptBack(NOT_SENT) from error
        let_out = probe or self._breaker.closed
        if not let_out or clock.now_ms() >= attempt.order.not_after_ms:
            raise KeptBack(NOT_SENT)
