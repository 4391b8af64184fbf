"""The log of refusals: address, token, route and outcome, counted and written down; never a secret.

A flood writes no flood: an address has so many lines a second for each outcome, and what is left
out is counted like the rest. What the edge itself refuses (413, 431) is in its access log.

Before it: whoever refuses. After it: the log, and whoever alerts on the counter.
"""

from __future__ import annotations

import structlog

from services.control.auth.buckets import Buckets
from services.control.auth.rate_limiter import network
from tradingtools import clock
from tradingtools.domain.errors import (
    LimitReached,
    NotAllowed,
    TradingError,
    Unauthenticated,
)
from tradingtools.runtime import instruments

OUTCOMES: dict[type[TradingError], int] = {Unauthenticated: 401, NotAllowed: 403, LimitReached: 429}
"""What is about who asks, and not about what he asks."""
_LINES_PER_SECOND = 5

_log = structlog.get_logger("security")
_refused = instruments.counter(
    "tradingtools.control",
    "control.refused",
    "requests refused for who asked, by port and outcome",
    instruments.each(port=("edge", "internal"), outcome=OUTCOMES.values()),
)


class SecurityLog:
    """Writes down refusals of one port.

    Args:
        port: ``edge`` or ``internal``.
    """

    def __init__(self, port: str) -> None:
        self._port = port
        self._lines = Buckets(_LINES_PER_SECOND)

    def refused(self, error: TradingError, *, address: str, token: str, route: str) -> None:
        """Count a refusal, and write it down unless there are too many.

        Args:
            error: why.
            address: of whoever asked; empty: unknown.
            token: the id of a valid token; empty: there was none.
            route: the RPC that was asked for; empty: none that there is.
        """
        outcome = OUTCOMES.get(type(error))
        if outcome is None:
            return
        _refused.add(1, {"port": self._port, "outcome": outcome})
        if self._lines.wait_ns(f"{outcome} {network(address)}", clock.monotonic_ns()):
            return
        _log.warning(
            "request refused",
            port=self._port,
            outcome=outcome,
            address=address or "unknown",
            token=token or "none",
            route=route or "none",
            why=error.why if isinstance(error, Unauthenticated) else error.message,
        )
