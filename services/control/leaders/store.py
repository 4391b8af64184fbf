"""Enrichment's newest snapshot of leaders in control's memory.

Each question asks Redis for the version, some hundred microseconds; its documents are read once.
While Redis is away the snapshot that was read last is shown, and its `asOf` tells its age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import redis.asyncio as redis
import structlog
from google.protobuf.message import DecodeError

from services.control.store import RETRY_AFTER_MS
from tradingtools.domain.errors import Unavailable
from tradingtools.storage.redis import documents
from tradingtools.v1 import enrichment_pb2 as pb

_log = structlog.get_logger("control.leaders")


@dataclass(frozen=True, slots=True)
class LeaderSnapshot:
    """Statistics of all leaders, of one version; none of them: nothing has been computed."""

    version: str = ""
    by_wallet: Mapping[str, pb.LeaderStatistics] = field(default_factory=dict)

    @property
    def as_of_ms(self) -> int | None:
        """Return when the oldest of its documents was true; None: there is none."""
        return min((leader.as_of_ms for leader in self.by_wallet.values()), default=None)


_NOTHING = LeaderSnapshot()


class Leaders:
    """Reads snapshots.

    Args:
        client: of Redis; decodes nothing.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._read: LeaderSnapshot | None = None
        self._reading = asyncio.Lock()

    async def newest(self) -> LeaderSnapshot:
        """Return the newest snapshot, or the one that was read last while Redis is away.

        Raises:
            Unavailable: Redis is away, and none was read before.
        """
        try:
            return await self._newest()
        except redis.RedisError:
            if self._read is None:
                raise Unavailable(
                    "redis does not answer", dependency="redis", retry_after_ms=RETRY_AFTER_MS
                ) from None
            return self._read

    async def _newest(self) -> LeaderSnapshot:
        version = await documents.version(self._client, "leaders")
        if version is None:
            # It went by itself: what nobody renews is not shown for ever.
            self._read = _NOTHING
            return _NOTHING
        # One reads for all that ask meanwhile.
        async with self._reading:
            if self._read is None or self._read.version != version:
                found = await documents.read(self._client, "leaders", version)
                if found is not None:
                    # Thousands of documents take longer than other requests should wait.
                    self._read = await asyncio.to_thread(_decoded, found)
            return self._read or _NOTHING


def _decoded(snapshot: documents.Snapshot) -> LeaderSnapshot:
    by_wallet = {}
    for wallet, document in snapshot.by_id.items():
        try:
            by_wallet[wallet] = pb.LeaderStatistics.FromString(document)
        except DecodeError as error:
            _log.error("a leader is left out", wallet=wallet, exc_info=error)
    return LeaderSnapshot(snapshot.version, by_wallet)
