"""Keep in memory what enrichment knows of leaders, for subscriptions that filter by it.

No copy waits for Redis: this is read beside the copies, and only while somebody asks for it. What
cannot be read any more stays, and grows too old by its own instant.
"""

from __future__ import annotations

import asyncio

import redis.asyncio as redis
import structlog
from google.protobuf.message import DecodeError
from redis.exceptions import RedisError

from services.router.core.router_state import RouterState
from tradingtools.codec.leader_facts import facts_of
from tradingtools.storage.redis import documents
from tradingtools.v1 import enrichment_pb2 as pb

_POLL_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
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
        self._desired: list[str] = []

    async def keep(self) -> None:
        """Keep them, for ever."""
        while True:
            await self.load()
            await asyncio.sleep(_POLL_SECONDS)

    async def load(self) -> None:
        """Read them once, if there is something new; within two seconds or not at all."""
        if self._state.control_seq != self._control_seq:
            self._control_seq = self._state.control_seq
            self._desired = self._state.index.judged_leaders()
            self._version = ""
        if not self._desired:
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
        found = await documents.some(self._client, "leaders", version, self._desired)
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
