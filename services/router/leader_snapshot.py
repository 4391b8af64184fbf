"""Keep in memory what enrichment knows of leaders, for subscriptions that filter by it.

No copy waits for Redis: this is read beside the copies, and only while somebody asks for it. What
cannot be read any more stays, and grows too old by its own instant.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction
from math import ceil, floor

import redis.asyncio as redis
import structlog
from google.protobuf.message import DecodeError
from redis.exceptions import RedisError

from services.router.core.leader_filter import LeaderFacts
from services.router.core.router_state import RouterState
from tradingtools.domain.money import MAX_MICROS, MICROS
from tradingtools.storage.redis import documents
from tradingtools.v1 import enrichment_pb2 as pb

_POLL_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_RECENT, _LONG = 30, 90
"""Days."""
_log = structlog.get_logger("router.leaders")


class LeaderSnapshot:
    """Keeps the facts of the router's state as the newest snapshot has them.

    Args:
        client: Redis, decoding nothing.
        state: whose leaders it keeps.
    """

    def __init__(self, client: redis.Redis, state: RouterState) -> None:
        self._client = client
        self._state = state
        self._version = ""
        self._control_seq = -1
        self._wanted: list[str] = []

    async def keep(self) -> None:
        """Keep them, for ever."""
        while True:
            await self.load()
            await asyncio.sleep(_POLL_SECONDS)

    async def load(self) -> None:
        """Read them once, if there is something new; within two seconds or not at all."""
        if self._state.control_seq != self._control_seq:
            self._control_seq = self._state.control_seq
            self._wanted = self._state.index.judged_leaders()
            self._version = ""
        if not self._wanted:
            self._state.leaders = {}
            return
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._read()
        except (RedisError, TimeoutError) as error:
            _log.warning("leaders' statistics not read", error=str(error) or "no answer")

    async def _read(self) -> None:
        version = await documents.version(self._client, "leaders")
        if version is None or version == self._version:
            return
        found = await documents.some(self._client, "leaders", version, self._wanted)
        if found is None:
            return
        facts = {}
        for wallet, body in found.by_id.items():
            try:
                facts[wallet] = facts_of(pb.LeaderStatistics.FromString(body))
            except DecodeError:
                _log.error("a leader's statistics cannot be read", wallet=wallet, version=version)
        self._state.leaders = facts
        self._version = version


def facts_of(told: pb.LeaderStatistics) -> LeaderFacts:
    """Return what filters judge of a document; ratios are rounded against copying."""
    windows = {window.days: window for window in told.windows}
    recent, long = windows.get(_RECENT), windows.get(_LONG)
    facts = LeaderFacts(
        version=told.version,
        as_of_ms=told.as_of_ms,
        trades_30d=recent.trades if recent else 0,
        copyability_micros=floor(_micros(told.score)) if told.HasField("score") else None,
    )
    if long is None:
        return facts
    factor: int | None = None
    if long.HasField("profit_factor"):
        factor = min(floor(_micros(long.profit_factor)), MAX_MICROS)
    elif long.won:
        # Without a loss any factor is reached.
        factor = MAX_MICROS
    return LeaderFacts(
        version=facts.version,
        as_of_ms=facts.as_of_ms,
        trades_30d=facts.trades_30d,
        win_rate_micros=floor(_micros(long.win_rate_low))
        if long.HasField("win_rate_low")
        else None,
        profit_factor_micros=factor,
        drawdown_micros=(
            ceil(_micros(long.largest_drawdown)) if long.HasField("largest_drawdown") else None
        ),
        copyability_micros=facts.copyability_micros,
    )


def _micros(ratio: float) -> Fraction:
    return Fraction(ratio) * MICROS
