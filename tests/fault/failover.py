"""Redis fails over to a replica that is behind, by a real Sentinel.

Replication goes through a proxy. It is stalled, so that the replica misses what is written from
then on and does not know it; then the primary dies, Sentinel promotes the replica, and the address
by which the engine knows Redis leads to it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import redis.asyncio as redis_client
from redis.exceptions import RedisError

from tests.fault.rig import Rig
from tests.fault.stores import PRIMARY, own_sentinel, own_valkey
from tests.money_path.world import eventually
from tests.support.proxy import Weather, proxied

_MARK = "tests:replicated"
_PROMOTED_SECONDS = 90.0


class Failover:
    """A replica and a Sentinel beside the rig's Redis, which it replaces when it is over.

    Args:
        rig: whose Redis fails over.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    async def prepare(self) -> None:
        """Have a replica that is level with the primary, and a Sentinel that knows of it."""
        enter = self._rig.stack.enter_context
        self._primary = self._rig.redis_url
        port = _port(self._primary)
        self._link = await self._rig.stack.enter_async_context(proxied(port))
        self._replica, self._replica_url = enter(own_valkey())
        async with redis_client.Redis.from_url(self._replica_url) as replica:
            # Told, not configured: promoted and started again, it must not be a replica once more.
            await replica.config_set("masterauth", urlsplit(self._primary).password or "")
            await replica.replicaof("127.0.0.1", self._link.port)
        self._sentinel, self._sentinel_url = enter(own_sentinel(port))
        async with redis_client.Redis.from_url(self._primary) as primary:
            await primary.set(_MARK, "before")
        await eventually(self._level)
        await eventually(self._known)

    def fall_behind(self) -> None:
        """From now on the replica misses what is written, and believes that nothing is."""
        self._link.weather = Weather(stalled=True)

    async def promote(self) -> None:
        """The primary dies; returns when the engine's address leads to the replica.

        What it fell behind is lost then: the test proves it of a mark of its own.
        """
        async with redis_client.Redis.from_url(self._primary) as primary:
            await primary.set(_MARK, "after")
        old = self._rig.redis
        old.close()
        # A Sentinel that stood still itself does nothing for half a minute (its TILT).
        await eventually(self._promoted, _PROMOTED_SECONDS)
        await self._link.close()
        self._sentinel.close()
        async with redis_client.Redis.from_url(self._replica_url) as replica:
            assert await replica.get(_MARK) == b"before", "the replica was not behind"
        self._rig.redis, self._rig.redis_url = self._replica, self._replica_url
        self._rig.proxies["redis"].lead_to(_port(self._replica_url))
        await self._rig.world.redis_moved(self._replica_url)

    async def _level(self) -> bool:
        async with redis_client.Redis.from_url(self._replica_url) as replica:
            return await replica.get(_MARK) == b"before"

    async def _known(self) -> bool:
        async with redis_client.Redis.from_url(self._sentinel_url) as sentinel:
            return len(await sentinel.sentinel_slaves(PRIMARY)) == 1

    async def _promoted(self) -> bool:
        async with redis_client.Redis.from_url(self._replica_url) as replica:
            try:
                role: list[object] = await replica.role()
            except RedisError:
                return False
            return role[0] == b"master"


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
