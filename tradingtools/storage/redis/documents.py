"""Versioned documents in Redis: what enrichment has computed, whole or not at all.

A build writes a hash under a version that nobody reads yet, then moves the pointer to it. A builder
that dies in between leaves a hash that goes by itself. Readers follow the pointer, so that nobody
sees half a build. Before: enrichment. After: control's `/leaders`, and the router's filters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import redis.asyncio as redis

Kind = Literal["leaders", "markets"]
"""`LeaderStatistics` by wallet; `MarketFacts` by condition."""

_AT_ONCE = 500
"""Documents of one command: some hundred kilobytes."""


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
    client: redis.Redis, kind: Kind, version: str, by_id: Mapping[str, bytes], *, stands_ms: int
) -> None:
    """Write a version, then point to it.

    Args:
        client: of any decoding.
        kind: of the documents.
        version: unique to this build.
        by_id: documents, serialised.
        stands_ms: until when the version is there; a later build has to come before that.

    Raises:
        RedisError: Redis has not taken it; the version before stands.
    """
    key = documents_key(kind, version)
    for part in _parts(by_id):
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.hset(key, mapping=dict(part))
            pipeline.pexpire(key, stands_ms)
            await pipeline.execute()
    await client.set(pointer_key(kind), version, px=stands_ms)


async def version(client: redis.Redis, kind: Kind) -> str | None:
    """Return the newest whole version; None: there is none.

    Raises:
        RedisError: Redis does not answer.
    """
    found = await client.get(pointer_key(kind))
    return found.decode() if isinstance(found, bytes) else found


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


def _parts(by_id: Mapping[str, bytes]) -> Iterator[list[tuple[str, bytes]]]:
    items = list(by_id.items())
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
