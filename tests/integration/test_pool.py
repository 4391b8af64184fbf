"""A connection to PostgreSQL whose other end is silently gone ends in bounded time."""

from __future__ import annotations

import os
import socket

from tradingtools.storage.postgres.pool import open_pool


async def test_silent_connection_is_closed_within_the_timeout(database_url: str) -> None:
    async with (
        open_pool(database_url, name="test", size=1, silence_seconds=6) as pool,
        pool.connection() as connection,
    ):
        with socket.socket(fileno=os.dup(connection.fileno())) as end:
            assert end.family in (socket.AF_INET, socket.AF_INET6)
            unacknowledged_ms = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            idle = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            interval = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            probes = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        # PostgreSQL asks its own socket.
        reported = await connection.execute("show tcp_user_timeout")
        assert await reported.fetchone() == {"tcp_user_timeout": "6000"}
    assert unacknowledged_ms == 6_000
    assert idle + interval * probes <= 6
