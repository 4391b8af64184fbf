"""Value leaders: their positions by the Data API, their cash by a Polygon node.

Proportional sizing divides by it. Positions alone would make a copy as many times too big as the
leader has more cash than positions, so without the cash nothing is known. Before: `data_api` and
`collateral`. After: `catch_up`, which tells it with the leader's trades.
"""

from __future__ import annotations

import asyncio

import structlog

from tradingtools import clock
from tradingtools.domain.errors import TradingError
from tradingtools.venues.polymarket.collateral import Collateral
from tradingtools.venues.polymarket.data_api import DataApi

_RETENTION_SECONDS = 30.0
"""A leader who is asked about more often than this is worth what he was."""
_log = structlog.get_logger("ingest")


class Equity:
    """Asks for both, and remembers the sum for a while."""

    def __init__(self, api: DataApi, collateral: Collateral | None) -> None:
        self._api = api
        self._collateral = collateral
        self._known: dict[str, tuple[int, float]] = {}

    async def of(self, leader: str) -> int | None:
        """Return positions and cash of a leader, USDC 1e-6; None: unknown.

        Unknown is an answer: whoever sizes by it skips, everybody else goes on.
        """
        if self._collateral is None:
            return None
        now = clock.monotonic()
        known, at = self._known.get(leader, (0, float("-inf")))
        if now - at < _RETENTION_SECONDS:
            return known
        try:
            positions, cash = await asyncio.gather(
                self._api.value(leader), self._collateral.of(leader)
            )
        except TradingError as error:
            _log.warning("equity unknown", leader=leader, error=str(error))
            return None
        self._known[leader] = (positions + cash, now)
        return positions + cash

    def forget(self, leader: str) -> None:
        """Forget a leader that nobody follows any more."""
        self._known.pop(leader, None)
