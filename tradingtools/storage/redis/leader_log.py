"""The log of leader trades in Redis: what a reader resumes from after it was away.

It stands beside the stream, never before it, and decides nothing: what it loses, the Data API
still has. Its incarnation is the name of one life of this log: a flushed, restarted or replaced
server has another one or none, and cursors of the old one are worth nothing there.

Whoever reaches Redis can add to it, and an entry becomes orders when a reader goes on from before
it. So each has a MAC by a key that Redis does not know, over its id as well: one without is
nobody's, and one that is written again elsewhere is none.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Any

import redis.asyncio as redis
from redis.exceptions import ResponseError

STREAM = "tt:leader_trades"
INCARNATION = "tt:incarnation"
_RETAINED = f"{STREAM}:kept"
_FIELD, _MAC = "e", "m"
_MAC_BYTES = 16
_PAGE = 500
_NOT_RISING = ("equal or smaller", "exhausted the last possible ID")
_NAME = re.compile(rb"[0-9a-f]{16}")


class StaleWrite(Exception):
    """An entry that somebody else has written is newer than what was to be written."""


class LeaderLog:
    """Entries are opaque bytes under ids ``<ms>-<n>`` that their writer gives.

    Args:
        client: of Redis.
        length: of the log, about.
        key: by which entries are known as ours.

    Every method raises redis.exceptions.RedisError when the server does not answer.
    """

    def __init__(self, client: redis.Redis, *, length: int, key: bytes) -> None:
        self._client = client
        self._key = key
        self._length = length

    async def incarnation(self) -> str:
        """Return this life's name: 16 hex digits, chosen by whoever asks first."""
        present: Any = await self._client.get(INCARNATION)
        name = _ours(present)
        if name is None:
            # What is there is no name of ours; of two that set one, one reads the other's.
            await self._client.set(INCARNATION, secrets.token_hex(8), nx=present is None)
            name = await self.present_incarnation()
        if name is None:
            raise ResponseError(f"{INCARNATION} was removed just after it was set")
        return name

    async def present_incarnation(self) -> str | None:
        """Return the name as it is now; None when the log is gone, and when it is none of ours."""
        return _ours(await self._client.get(INCARNATION))

    async def last(self) -> str:
        """Return the id of the newest entry, ``0-0`` when there is none."""
        entries: Any = await self._client.xrevrange(STREAM, count=1)
        return _text(entries[0][0]) or "0-0" if entries else "0-0"

    async def append(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Write entries in order, all or none; one that is already there is left as it is.

        Raises:
            Overtaken: one is not there and cannot be written; later ones may have been.
        """
        # Alone, one may be refused in the middle (for want of memory, while a script runs), and
        # with a later one behind it, it could never be written.
        pipeline = self._client.pipeline(transaction=True)
        for entry_id, payload in entries:
            pipeline.xadd(
                STREAM,
                {_FIELD: payload, _MAC: self._mac(entry_id, payload)},
                id=entry_id,
                maxlen=self._length,
                approximate=True,
            )
        refused = False
        for answer in await pipeline.execute(raise_on_error=False):
            if isinstance(answer, Exception):
                if not any(message in str(answer) for message in _NOT_RISING):
                    raise answer
                refused = True
        if refused:
            present: Any = await self._client.xrange(STREAM, min=entries[0][0], max=entries[-1][0])
            if not set(entries) <= {self._read(entry) for entry in present}:
                raise StaleWrite

    async def load(self, after: str, limit: int) -> list[tuple[str, bytes | None]]:
        """Return up to ``limit`` entries after an id, in order; None is one that is none of
        ours."""
        entries: Any = await self._client.xrange(STREAM, min=f"({after}", count=limit)
        return [self._read(entry) for entry in entries]

    async def top(self) -> str:
        """Return the id that the next entry has to rise above, whether its entry is still there or
        not."""
        if not await self._client.exists(STREAM):
            return "0-0"
        about: Any = await self._client.xinfo_stream(STREAM)
        return _text(about["last-generated-id"]) or "0-0"

    async def remove_above(self, highest: str) -> list[str]:
        """Take entries above an id out, so that ids go on behind the others; whoever writes waits.

        A stream does not forget the highest id it ever had, so the others become another one.
        """
        about: Any = await self._client.xinfo_stream(STREAM)
        removed: Any = await self._client.xrange(STREAM, min=f"({highest}")
        await self._client.delete(_RETAINED)
        last = "0-0"
        while True:
            entries: Any = await self._client.xrange(
                STREAM, min=f"({last}", max=highest, count=_PAGE
            )
            if not entries:
                break
            pipeline = self._client.pipeline(transaction=True)
            for entry_id, fields in entries:
                pipeline.xadd(_RETAINED, fields, id=entry_id)
            await pipeline.execute()
            last = _text(entries[-1][0]) or ""
        if last == "0-0":
            await self._client.delete(STREAM)
        else:
            added = about["entries-added"] - len(removed)
            client: Any = self._client
            await client.execute_command("XSETID", _RETAINED, last, "ENTRIESADDED", added)
            await self._client.rename(_RETAINED, STREAM)
        return [_text(entry_id) or "" for entry_id, _ in removed]

    async def was_cut(self, after: str) -> bool:
        """Return whether entries after this id have been dropped because the log was too long."""
        if not await self._client.exists(STREAM):
            return False
        about: Any = await self._client.xinfo_stream(STREAM)
        first = about["first-entry"]
        if first is None or about["entries-added"] <= about["length"]:
            return False
        return _pair(_text(first[0]) or "0-0") > _pair(after)

    def _read(self, entry: tuple[bytes, dict[bytes, bytes]]) -> tuple[str, bytes | None]:
        entry_id, fields = entry[0].decode(), entry[1]
        payload = fields.get(_FIELD.encode(), b"")
        given = fields.get(_MAC.encode(), b"")
        ours = hmac.compare_digest(given, self._mac(entry_id, payload))
        return entry_id, payload if ours else None

    def _mac(self, entry_id: str, payload: bytes) -> bytes:
        # An id has no zero byte: where it ends cannot be moved.
        text = entry_id.encode() + b"\0" + payload
        return hmac.digest(self._key, text, hashlib.sha256)[:_MAC_BYTES]


def _ours(name: object) -> str | None:
    return name.decode() if isinstance(name, bytes) and _NAME.fullmatch(name) else None


def _pair(entry_id: str) -> tuple[int, int]:
    ms, _, n = entry_id.partition("-")
    return int(ms), int(n or 0)


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)
