"""The dead man's switch: something outside calls a person when this process falls silent.

Before it: the log's reader, without which there is nothing to be proud of. After it: whatever the
URL belongs to, such as healthchecks.io.
"""

from __future__ import annotations

import asyncio

import aiohttp
import structlog

from tradingtools import clock

_log = structlog.get_logger("alerts")
_SECONDS = 10.0
_BEAT_SECONDS = 30.0


class Heartbeat:
    """Beats while the log can be read.

    Args:
        url: is asked; empty: nobody.
        http: asks.
    """

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http
        self._last_beat: float | None = None

    def beat(self) -> None:
        """The log has said something, if only that there is nothing new."""
        self._last_beat = clock.monotonic()

    async def run(self, pause_seconds: float) -> None:
        """Beat for ever."""
        while True:
            if self._url and self._alive():
                await self._beat()
            await asyncio.sleep(pause_seconds)

    def _alive(self) -> bool:
        return self._last_beat is not None and clock.monotonic() < self._last_beat + _BEAT_SECONDS

    async def _beat(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with self._http.get(self._url, timeout=timeout, allow_redirects=False) as answer:
                if answer.status >= 300:
                    _log.warning("the heartbeat was refused", status=answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("the heartbeat was not delivered", error=type(error).__name__)
