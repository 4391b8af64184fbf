"""Clients of Redis that fail as redis says they do, whatever the event loop raises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis.asyncio as redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as ConnectionLost


class _ResetAsConnectionError(AbstractConnection):
    """Raises RedisError when it writes to what has been reset.

    uvloop's transports raise RuntimeError there ("unable to perform operation on <TCPTransport
    closed=True ...>"), asyncio's do not, and redis expects OSError.
    """

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise ConnectionLost(str(error)) from error


def open_redis(url: str, **options: Any) -> redis.Redis:
    """Return a client whose commands raise redis.exceptions.RedisError when the server is away.

    Args:
        url: of the server.
        options: as of ``redis.asyncio.Redis.from_url``.
    """
    client = redis.Redis.from_url(url, **options)
    kind = client.connection_pool.connection_class
    client.connection_pool.connection_class = type(
        f"Told{kind.__name__}", (_ResetAsConnectionError, kind), {}
    )
    return client
