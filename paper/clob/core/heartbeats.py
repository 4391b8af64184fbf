"""The dead man's switch: once armed by a key, silence ends all of the key's orders."""

from __future__ import annotations

import uuid
from hashlib import sha256

from paper.clob.core.values import Refusal

LIVES_MS = 15_000


class Heartbeats:
    """The last heartbeat of each API key."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}

    def beat(self, key: str, reported: str, now_ms: int) -> str:
        """Take a heartbeat that names the one before; the next one's id. Raises Refusal."""
        expected = self._last.get(key, ("", 0))[0]
        if reported != expected:
            raise Refusal("invalid heartbeat_id", heartbeat_id=expected)
        digest = sha256(f"{key}|{reported}|{now_ms}".encode()).digest()
        following = str(uuid.UUID(bytes=digest[:16], version=4))
        self._last[key] = (following, now_ms)
        return following

    def silent(self, now_ms: int) -> list[str]:
        """Return the keys that have fallen silent; each is told once."""
        found = [key for key, (_, at) in self._last.items() if at + LIVES_MS <= now_ms]
        for key in found:
            del self._last[key]
        return found
