"""Versioned documents in Redis: what enrichment has computed, whole or not at all.

A build writes a hash under a version that nobody reads yet, then moves the pointer to it. A builder
that dies in between leaves a hash that goes by itself. Readers follow the pointer, so that nobody
sees half a build; the version of before stays for a minute for who is reading it. Before:
enrichment. After: control's `/leaders`, and the router's filters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import redis.asyncio as redis
from redis.exceptions import WatchError

Kind = Literal["leaders", "markets"]
"""`LeaderStatistics` by wallet; `MarketFacts` by condition."""

_AT_ONCE = 500
"""Documents of one command: some hundred kilobytes."""
_GRACE_MS = 60_000


class Superseded(Exception):
    """The version that was built upon does not count any more; nothing has changed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All documents of one version, serialised."""

    version: str
    by_id: Mapping[str, bytes]


def pointer_key(kind: Kind) -> str:
    """Return the key that holds the newest whole version."""
    return f"tt:documents:{kind}"


def documents_key(kind: Kind, version: str) -> str:
    """Return the key of a version's hash: documents by id."""
    return f"tt:documents:{kind}:{version}"


async def publish(
    client: redis.Redis,
    kind: Kind,
    version: str,
    by_id: Mapping[str, bytes],
    *,
    stands_ms: int,
    base: str | None = None,
    dropped: Sequence[str] = (),
) -> None:
    """Write a version, then point to it.

    Args:
        client: of any decoding.
        kind: of the documents.
        version: unique to this build.
        by_id: documents, serialised; with a base those that differ from it.
        stands_ms: until when the version is there; a later build has to come before that.
        base: the version that has the others, and that counts; None: there are no others.
        dropped: ids of documents that the base has and this version does not.

    Raises:
        Superseded: the base is gone, or does not count any more; nothing has changed.
        RedisError: Redis has not answered; the version counts, or the one before stands.
    """
    key = documents_key(kind, version)
    # A copy goes when what it was made of goes, until its own time is set.
    if base is not None and not await client.copy(documents_key(kind, base), key):
        raise Superseded(base)
    for part in _parts(by_id):
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.hset(key, items=[each for pair in part for each in pair])
            pipeline.pexpire(key, stands_ms)
            await pipeline.execute()
    if dropped:
        await client.hdel(key, *dropped)
    await _point(client, kind, version, stands_ms, base)


async def _point(
    client: redis.Redis, kind: Kind, version: str, stands_ms: int, base: str | None
) -> None:
    """Let a version count, if nobody has moved the pointer since it was read here."""
    pointer = pointer_key(kind)
    async with client.pipeline(transaction=True) as pipeline:
        await pipeline.watch(pointer)
        before = _text(await pipeline.get(pointer))
        if base is not None and before != base:
            raise Superseded(base)
        pipeline.multi()  # type: ignore[no-untyped-call]
        pipeline.set(pointer, version, px=stands_ms)
        pipeline.pexpire(documents_key(kind, version), stands_ms)
        if before is not None and before != version:
            pipeline.pexpire(documents_key(kind, before), _GRACE_MS)
        try:
            await pipeline.execute()
        except WatchError:
            raise Superseded(version) from None


async def version(client: redis.Redis, kind: Kind) -> str | None:
    """Return the newest whole version; None: there is none.

    Raises:
        RedisError: Redis does not answer.
    """
    return _text(await client.get(pointer_key(kind)))


def _text(found: bytes | str | None) -> str | None:
    return found.decode(errors="replace") if isinstance(found, bytes) else found


async def read(client: redis.Redis, kind: Kind, of: str) -> Snapshot | None:
    """Return all documents of a version; None: it is gone.

    Args:
        client: that decodes nothing.
        kind: of the documents.
        of: the version.

    Raises:
        RedisError: Redis does not answer.
    """
    found = await client.hgetall(documents_key(kind, of))
    by_id = {
        key.decode(): document
        for key, document in found.items()
        if isinstance(key, bytes) and isinstance(document, bytes)
    }
    return Snapshot(of, by_id) if by_id else None


async def ids(client: redis.Redis, kind: Kind, of: str) -> list[str]:
    """Return the ids of a version's documents; none: it is gone. Raises RedisError."""
    return [
        name.decode() if isinstance(name, bytes) else name
        for name in await client.hkeys(documents_key(kind, of))
    ]


async def some(client: redis.Redis, kind: Kind, of: str, ids: Iterable[str]) -> Snapshot | None:
    """Return the documents of a version by their ids, as far as it has them; None: it is gone.

    Args:
        client: that decodes nothing.
        kind: of the documents.
        of: the version.
        ids: whose.

    Raises:
        RedisError: Redis does not answer.
    """
    key, desired, by_id = documents_key(kind, of), list(ids), dict[str, bytes]()
    for start in range(0, len(desired), _AT_ONCE):
        part = desired[start : start + _AT_ONCE]
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.exists(key)
            pipeline.hmget(key, part)
            there, found = await pipeline.execute()
        if not there:
            return None
        by_id |= {
            name: body for name, body in zip(part, found, strict=True) if isinstance(body, bytes)
        }
    return Snapshot(of, by_id)


def _parts(by_id: Mapping[str, bytes]) -> Iterator[list[tuple[str, bytes]]]:
    items = list(by_id.items())
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
