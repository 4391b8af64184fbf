"""Redis in the simulation, as far as the money path uses it: the wake-ups of control changes, and
documents about leaders.

It may lose everything it has, and be away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import ConnectionError as RedisAway

VERSION = "1"


class _Reading:
    """Some documents of the version."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        self._documents = documents
        self._answers: list[Any] = []

    async def __aenter__(self) -> _Reading:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""

    def exists(self, _name: str) -> None:
        """Whether they are there."""
        self._answers.append(int(bool(self._documents)))

    def hmget(self, _name: str, ids: Sequence[str]) -> None:
        """Those of these leaders."""
        self._answers.append([self._documents.get(each) for each in ids])

    async def execute(self) -> list[Any]:
        """All answers."""
        return self._answers


class Bus:
    """One stream of announcements."""

    def __init__(self) -> None:
        self.down = False
        self._entries: list[str] = []
        self._grown = asyncio.Event()
        self._last = 0
        self.documents: dict[str, bytes] = {}
        """Of leaders, all of one version."""

    def announce(self, seq: int) -> None:
        """Return what control does after a commit."""
        if self.down:
            return
        self._last += 1
        self._entries.append(f"{self._last}-0")
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    def flush(self) -> None:
        """Lose everything."""
        self._entries.clear()
        self.documents.clear()

    # What `open_redis` gives the services.

    def open(self, _url: str, **_options: Any) -> Bus:
        """The only server there is."""
        return self

    async def aclose(self) -> None:
        """Nothing is held."""

    async def xrevrange(self, _name: str, count: int) -> list[tuple[str, dict[str, str]]]:
        """The newest entries."""
        self._check()
        return [(entry, {}) for entry in self._entries[-count:]]

    async def xread(self, streams: Mapping[str, str], block: int) -> list[Any]:
        """Entries after an id; waits for them."""
        self._check()
        ((name, after),) = streams.items()
        number = int(after.split("-")[0])
        if not self._after(number):
            with suppress(TimeoutError):
                async with asyncio.timeout(block / 1000):
                    await self._grown.wait()
        self._check()
        found = self._after(number)
        return [[name, [(entry, {"seq": "0"}) for entry in found]]] if found else []

    async def get(self, _name: str) -> bytes | None:
        """The version of the documents."""
        self._check()
        return VERSION.encode() if self.documents else None

    def pipeline(self, *, transaction: bool) -> _Reading:
        """Ask for documents."""
        assert transaction
        self._check()
        return _Reading(dict(self.documents))

    def _after(self, number: int) -> list[str]:
        return [entry for entry in self._entries if int(entry.split("-")[0]) > number]

    def _check(self) -> None:
        if self.down:
            raise RedisAway("connection refused")
