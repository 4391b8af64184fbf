"""Keep documents about leaders and markets in Redis: enrichment publishes them, others read.

A snapshot is one hash of documents for each kind, named by its version, and a pointer says which
version counts. A new snapshot is written beside the present one, and the pointer moves to it when
it is whole: a reader sees one or the other. The one of before stays for a while for who is reading
it; what was never pointed at goes by itself. Whoever decides by a document says what becomes of one
that is not there, or too old.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import msgspec
import redis.asyncio as redis
from redis.exceptions import WatchError

POINTER = "tt:enrichment:current"
_GRACE_SECONDS = 60
"""For who reads a snapshot when another one takes its place."""
_PIECE = 500
_TRIES = 3


class Kind(StrEnum):
    """What documents are about."""

    LEADER = "leader"
    """By wallet, lower case: ``LeaderStatistics`` of the contracts."""
    MARKET = "market"
    """By condition: ``MarketFacts`` of the contracts."""


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """The snapshot that counts."""

    version: str
    built_ms: int
    """When it was made, milliseconds since 1970."""
    as_of_ms: int
    """What it is made of was read then at the earliest."""
    leaders: int
    markets: int
    """How many documents it has."""


@dataclass(frozen=True, slots=True)
class Change:
    """How the documents of one kind differ from those of the snapshot before."""

    put: Mapping[str, bytes]
    drop: Set[str] = frozenset()


class Superseded(Exception):
    """Another publisher has moved the pointer meanwhile; nothing has changed."""


class Incomplete(Exception):
    """A snapshot did not become whole: its base went away under it; nothing has changed."""


_POINTER = msgspec.json.Decoder(Pointer)


def key(version: str, kind: Kind) -> str:
    """Return the key of a snapshot's documents of one kind."""
    return f"tt:enrichment:{version}:{kind}"


async def current(client: redis.Redis) -> Pointer | None:
    """Return the snapshot that counts; None: there is none, or what stands there is none of ours.

    Raises:
        RedisError: there is no answer.
    """
    return _read(await client.get(POINTER))


async def publish(
    client: redis.Redis,
    pointer: Pointer,
    changes: Mapping[Kind, Change],
    *,
    base: Pointer | None,
    stands_seconds: int,
) -> None:
    """Write a snapshot and let it count.

    A crash before the last step changes nothing for anybody.

    Args:
        client: that decodes nothing.
        pointer: of the new snapshot; its version was never used.
        changes: what differs from the base; without a base, all of it.
        base: the snapshot that counted when the changes were made.
        stands_seconds: after which a snapshot goes that nothing has replaced.

    Raises:
        Superseded, Incomplete: nothing has changed.
        RedisError: there is no answer; it may count or not.
    """
    wanted = {Kind.LEADER: pointer.leaders, Kind.MARKET: pointer.markets}
    for kind in Kind:
        await _write(client, pointer, kind, changes.get(kind, Change({})), base, stands_seconds)
        if await client.hlen(key(pointer.version, kind)) != wanted[kind]:
            raise Incomplete(f"{kind}: expected {wanted[kind]} documents")
    async with client.pipeline(transaction=True) as pipeline:
        await pipeline.watch(POINTER)
        present = await pipeline.get(POINTER)
        # What is no pointer of ours is nobody's, and may be replaced.
        if _read(present) not in (None, base):
            raise Superseded(pointer.version)
        pipeline.multi()  # type: ignore[no-untyped-call]
        pipeline.set(POINTER, msgspec.json.encode(pointer), ex=stands_seconds)
        for kind in Kind:
            pipeline.expire(key(pointer.version, kind), stands_seconds + _GRACE_SECONDS)
            if base is not None:
                pipeline.expire(key(base.version, kind), _GRACE_SECONDS)
        try:
            await pipeline.execute()
        except WatchError:
            raise Superseded(pointer.version) from None


def _read(body: bytes | str | None) -> Pointer | None:
    try:
        return None if body is None else _POINTER.decode(body)
    except msgspec.DecodeError:
        return None


async def _write(
    client: redis.Redis,
    pointer: Pointer,
    kind: Kind,
    change: Change,
    base: Pointer | None,
    stands_seconds: int,
) -> None:
    """Write the documents of one kind; from its first byte on a key goes by itself."""
    to = key(pointer.version, kind)
    if base is not None:
        # With what is left of the base's time.
        await client.copy(key(base.version, kind), to, replace=True)
    rest = iter(change.put.items())
    while piece := list(islice(rest, _PIECE)):
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.hset(to, items=[part for pair in piece for part in pair])
            pipeline.expire(to, stands_seconds)
            await pipeline.execute()
    if change.drop:
        await client.hdel(to, *change.drop)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Some documents of one snapshot; those that it does not have are absent."""

    pointer: Pointer
    documents: Mapping[str, bytes]


async def read(client: redis.Redis, kind: Kind, names: Iterable[str]) -> Snapshot | None:
    """Return documents by name, all of one snapshot; None: there is none.

    Raises:
        RedisError: there is no answer.
    """
    wanted = list(names)
    for _ in range(_TRIES):
        pointer = await current(client)
        if pointer is None:
            return None
        found = await _some(client, pointer, kind, wanted)
        if found is not None:
            return Snapshot(pointer, found)
    return None


async def _some(
    client: redis.Redis, pointer: Pointer, kind: Kind, names: list[str]
) -> dict[str, bytes] | None:
    """Return documents of a snapshot; None: it has gone meanwhile."""
    documents: dict[str, bytes] = {}
    at = key(pointer.version, kind)
    for start in range(0, len(names), _PIECE):
        piece = names[start : start + _PIECE]
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.exists(at)
            pipeline.hmget(at, piece)
            there, bodies = await pipeline.execute()
        if not there and _count(pointer, kind):
            return None
        documents |= {n: b for n, b in zip(piece, bodies, strict=True) if isinstance(b, bytes)}
    return documents


def _count(pointer: Pointer, kind: Kind) -> int:
    return pointer.leaders if kind is Kind.LEADER else pointer.markets


async def scan(
    client: redis.Redis, pointer: Pointer, kind: Kind
) -> AsyncIterator[tuple[str, bytes]]:
    """Yield all documents of a snapshot, in no order; it has to be read within a minute.

    Raises:
        RedisError: there is no answer.
    """
    async for name, body in client.hscan_iter(key(pointer.version, kind), count=_PIECE):
        yield name.decode(), body
